"""What an index holds: each item once, whatever is appended how often, and vectors of one embedding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quadrat.errors import IndexFileError
from quadrat.index import write as writing
from quadrat.index.identity import Identity
from quadrat.index.read import IndexReader
from quadrat.index.write import IndexedFrame, IndexWriter
from tests.index.things import LOOK, MODELS, dump, entry, source, unit, write

BOX = (1.0, 2.0, 30.0, 40.0)
THINGS = (
    (source("a/1.jpg", latitude=-34.9, longitude=138.5, taken="2024-05-06T07:08:09"), [
        entry(("sand", 0.9, 0.25), vector=(1, 0, 0), thumb=b"jpeg"),
        entry(("cod", 0.8, None), box=BOX, model="fish", vector=(0, 1, 0), track=3),
    ]),
    (source("b/2.mp4", media="video"), [entry(vector=(0, 0, 1))]),
)  # fmt: skip


def test_what_is_written_is_read(tmp_path):
    """Rows, classes, places, vectors and thumbnails."""
    assert write(tmp_path / "db", *THINGS) == 3
    reader = IndexReader(tmp_path / "db")
    rows = [reader.row(number) for number in (1, 2, 3)]

    assert (reader.count(), reader.vectors(), reader.embedding) == (3, 3, Identity(LOOK.digest, "look", 3))
    assert [row.name for row in rows] == ["a/1.jpg", "a/1.jpg", "b/2.mp4"]
    assert (rows[0].site, rows[0].latitude, rows[0].longitude, rows[0].taken) == (
        "a", -34.9, 138.5, "2024-05-06T07:08:09",
    )  # fmt: skip
    assert (rows[1].box, rows[1].track, rows[0].box, rows[0].track) == (BOX, 3, None, None)
    assert [(each.name, each.score, each.cover) for each in rows[0].labels] == [("sand", 0.9, 0.25)]
    assert (rows[2].media, rows[2].time_s, rows[2].labels) == ("video", 1.5, ())
    assert (reader.thumb(1), reader.thumb(2), reader.row(4)) == (b"jpeg", b"", None)
    (block,) = reader.blocks()
    assert block.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    reader.close()


@pytest.mark.parametrize("step", [1, 10_000])
def test_appending_the_same_changes_nothing(tmp_path, monkeypatch, step):
    """However often, in any order, under another name, and with any size of transactions."""
    monkeypatch.setattr(writing, "STEP", step)
    write(tmp_path / "db", *THINGS)
    before = dump(tmp_path / "db")

    for things in (THINGS, THINGS[::-1]):
        assert write(tmp_path / "db", *things, new=False) == 0
    renamed = [(replace(each, name="other.jpg"), entries) for each, entries in THINGS]
    assert write(tmp_path / "db", *renamed, new=False) == 0

    assert dump(tmp_path / "db") == before


def test_parts_give_the_whole(tmp_path):
    """An index that is written in two parts equals one that is written at once."""
    write(tmp_path / "whole", *THINGS)
    write(tmp_path / "parts", THINGS[0])
    assert write(tmp_path / "parts", *THINGS, new=False) == 1

    assert dump(tmp_path / "parts") == dump(tmp_path / "whole")


def test_two_writings_give_the_same_bytes_in_one_file(tmp_path):
    """The log of the database is gone."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "db", *THINGS)

    assert (tmp_path / "one" / "db").read_bytes() == (tmp_path / "two" / "db").read_bytes()
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["db"]


def test_classes_and_vectors_can_come_later(tmp_path):
    """An index without vectors gets them when the same content is measured with an embedding."""
    write(tmp_path / "db", (THINGS[0][0], [entry(("sand", None, 0.25))]))
    reader = IndexReader(tmp_path / "db")
    assert (reader.vectors(), reader.embedding) == (0, None)
    reader.close()

    write(tmp_path / "db", THINGS[0], new=False)
    reader = IndexReader(tmp_path / "db")
    assert (reader.count(), reader.vectors()) == (2, 2)
    reader.close()


def test_objects_of_two_boxes_models_and_frames_are_different(tmp_path):
    """A box counts as the same if its corners agree to 0.01 pixel."""
    with IndexWriter(tmp_path / "db", None, {"a": "1" * 64, "b": "2" * 64}) as writer:
        one = entry(box=BOX, model="a")
        same = replace(one, box=(1.001, *BOX[1:]))
        for index, each in (
            (0, one),
            (0, same),
            (0, replace(one, model="b")),
            (1, one),
            (0, replace(one, box=None)),
        ):
            writer.add(source("clip.mp4", media="video"), [(IndexedFrame(index, float(index)), each)])
    assert writer.rows == 4


def test_vectors_of_another_embedding_are_refused(tmp_path):
    """They cannot be compared; so are those of another length."""
    write(tmp_path / "db", *THINGS)
    other = Identity("d" * 64, "look")
    with (
        pytest.raises(IndexFileError, match="cannot be compared") as raised,
        IndexWriter(tmp_path / "db", other, MODELS, new=False) as writer,
    ):
        writer.add(source("c.jpg"), [(IndexedFrame(0, None), entry(vector=(1, 0, 0)))])
    assert raised.value.code == "E_INDEX"
    with pytest.raises(IndexFileError, match="3 values, and new ones 2"):
        write(tmp_path / "db", (source("c.jpg"), [entry(vector=(1, 0))]), new=False)


@pytest.mark.parametrize("bad", [(np.nan, 0, 1), (np.inf, 0, 1), (0, 0, 0)])
def test_a_vector_without_direction_is_never_stored(tmp_path, bad):
    """The tasks refuse it already."""
    one = replace(entry(vector=(1, 0, 0)), vectors={"look": np.array(bad, np.float32)})
    with pytest.raises(IndexFileError, match="no direction"):
        write(tmp_path / "db", (source("c.jpg"), [one]))


def test_float16_keeps_the_direction(tmp_path):
    """The cosine of a stored vector of 512 values to the true one is above 0.999999."""
    true = unit(np.random.default_rng(1).normal(size=512))
    write(tmp_path / "db", (source("c.jpg"), [replace(entry(), vectors={"look": true})]))
    reader = IndexReader(tmp_path / "db")
    (block,) = reader.blocks()
    reader.close()

    assert np.dot(block[0], true) > 0.999999
    assert np.linalg.norm(block[0]) == pytest.approx(1, abs=1e-6)
