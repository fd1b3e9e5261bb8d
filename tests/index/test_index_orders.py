"""Orders that make an index, or append to one, with networks whose answers are known."""

from __future__ import annotations

import csv
import errno
import logging
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quadrat import job
from quadrat.errors import ParameterError
from quadrat.index.archive import unpacked
from quadrat.index.read import IndexReader
from quadrat.parameters import parse
from quadrat.report import columns
from quadrat.stores.folder import FolderStore
from tests import videos
from tests.classifiers import color_archive
from tests.detectors import detector_archive
from tests.index.orders import LOG, content, found, made, names, run
from tests.networks import colour_archive
from tests.results import aspect

SIDES = ("x0", "y0", "x1", "y1")


def test_an_order_delivers_an_index(model, photos, tmp_path):
    """With the rows, vectors and thumbnails of all pictures, and what they are in its metadata."""
    index = made(model, photos, tmp_path / "out")
    with unpacked(index) as database:
        reader = IndexReader(database)
        rows = [reader.row(number) for number in range(1, 5)]
        thumbs = [reader.thumb(number) for number in range(1, 5)]
        assert (reader.count(), reader.vectors()) == (4, 4)
        reader.close()

    assert [(row.name, row.site) for row in rows] == [
        ("north/red.png", "north"), ("north/rose.png", "north"), ("south/green.png", "south"), ("south/grey.png", "south"),
    ]  # fmt: skip
    assert all(thumb.startswith(b"\xff\xd8") for thumb in thumbs)
    stated = aspect(tmp_path / "out", "index.tgz")
    assert (stated["rows"], stated["vectors"], stated["dimension"], stated["metric"]) == (4, 4, 3, "cosine")
    assert stated["embedding"]["name"] == "colour"


def test_two_orders_give_the_same_index_and_appending_it_changes_nothing(model, photos, tmp_path):
    """Also with another batch, and when the order is continued."""
    first = made(model, photos, tmp_path / "one")
    second = made(model, photos, tmp_path / "two", batch_size=3)
    assert first.read_bytes() == second.read_bytes()

    again = run(model, photos, tmp_path / "three", base=first, index=True)
    assert again.error is None
    assert content(tmp_path / "three" / "index.tgz") == content(first)


def test_an_order_appends_what_is_new(model, photos, tmp_path):
    """Of two orders with one picture in common, it is there once; the first index stays as it is."""
    few = tmp_path / "few"
    few.mkdir()
    for name in ("south/green.png",):
        (few / Path(name).name).write_bytes((photos / name).read_bytes())
    first = made(model, few, tmp_path / "one")
    before = first.read_bytes()
    assert run(model, photos, tmp_path / "two", base=first, index=True).error is None

    assert first.read_bytes() == before
    assert aspect(tmp_path / "two", "index.tgz")["rows"] == 4


def test_a_continued_order_has_a_whole_index(model, photos, tmp_path):
    """Records of an earlier run without an index are not used for one with it."""
    store = FolderStore(model, photos, tmp_path / "out")
    assert job.run_order(parse({"executor": "local", "index": True}), store, LOG).error is None
    first = content(tmp_path / "out" / "index.tgz")
    assert job.run_order(parse({"executor": "local", "index": True}), store, LOG).error is None
    assert content(tmp_path / "out" / "index.tgz") == first

    outcome = job.run_order(parse({"executor": "local"}), store, LOG)
    assert outcome.error is not None
    assert outcome.error.code == "E_RESULTS"
    assert "index" in outcome.error.line


def test_frames_of_videos(model, tmp_path, monkeypatch):
    """Each with its number and time; also from a video whose entries go to a file."""
    monkeypatch.setattr(columns, "CHUNK_FRAMES", 2)
    folder = tmp_path / "videos"
    folder.mkdir()
    videos.write(folder / "clip.mp4", videos.frames(5))
    assert run(model, folder, tmp_path / "one", moving=True, index=True).error is None
    index = tmp_path / "one" / "index.tgz"
    run(None, None, tmp_path / "out", base=index, task="search", where="kind = frame and frame >= 2")

    assert [row["frame"] for row in found(tmp_path / "out")] == ["2", "3", "4"]
    assert all(float(row["time_s"]) > 0 for row in found(tmp_path / "out"))
    again = run(model, folder, tmp_path / "two", base=index, moving=True, index=True)
    assert again.error is None
    assert content(tmp_path / "two" / "index.tgz") == content(index)


def test_two_embeddings_in_one_index_are_refused(photos, tmp_path, model):
    """An index holds the vectors of one."""
    other = colour_archive(tmp_path / "other.tgz", broken=True, name="other")
    outcome = run([model, other], photos, tmp_path / "out", index=True)
    assert outcome.error.where == "index"
    assert outcome.counts == {}


def test_objects_of_a_cascade(tmp_path):
    """Each object has its box, class, score and vector, in features.npz and in the index; the frame has a row too."""
    photos = tmp_path / "things"
    photos.mkdir()
    for name, colour in (("a", (255, 255, 200)), ("b", (255, 200, 255))):
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[16:48, 8:40] = colour
        Image.fromarray(pixels).save(photos / f"{name}.png")
    look = colour_archive(tmp_path / "look.tgz", on="objects", objects={"padding": 0})
    models = [detector_archive(tmp_path / "d.tgz", "yolov8"), look]
    index = made(models, photos, tmp_path / "one")

    (features,) = (tmp_path / "one").glob("*features.npz")
    with np.load(features) as arrays:
        assert arrays["names"].tolist() == ["a.png", "b.png"]
        assert arrays["boxes"] == pytest.approx(np.array([[8, 16, 40, 48]] * 2), abs=1)
        true = np.array([(255, 255, 200), (255, 200, 255)])
        assert arrays["vectors"] == pytest.approx(
            true / np.linalg.norm(true, axis=1, keepdims=True), abs=0.02
        )
    run(None, None, tmp_path / "out", base=index, task="search", where="kind = object and score > 0.5")
    assert [row["name"] for row in found(tmp_path / "out")] == ["a.png", "b.png"]
    assert all(float(row["class_score"]) > 0.5 and row["class"] for row in found(tmp_path / "out"))
    with unpacked(index) as database:
        reader = IndexReader(database)
        assert (reader.count(), reader.vectors()) == (4, 2)
        reader.close()

    with (tmp_path / "one" / "detections.csv").open(newline="") as file:
        listed = [(row["name"], row["class"], *(row[side] for side in SIDES)) for row in csv.DictReader(file)]
    assert listed == [
        (row["name"], row["class"], *(row[side] for side in SIDES)) for row in found(tmp_path / "out")
    ]

    outcome = run(models, photos / "b.png", tmp_path / "two", base=index, task="search", max_results=1)
    assert outcome.error is None
    assert [(row["query"], row["name"], row["x0"] != "") for row in found(tmp_path / "two")] == [
        ("b.png #1", "b.png", True),
    ]  # fmt: skip


def test_the_features_of_a_classifier(photos, tmp_path):
    """They are vectors like any others, and a search by pictures takes them without being asked to."""
    classifier = color_archive(tmp_path / "c.tgz", outputs={"logits": "values", "features": "means"})
    index = made(classifier, photos, tmp_path / "one")
    assert aspect(tmp_path / "one", "index.tgz")["vectors"] == 4

    picture = photos / "north" / "red.png"
    assert run(classifier, picture, tmp_path / "two", base=index, task="search").error is None
    assert names(tmp_path / "two")[:2] == ["red", "rose"]
    run(None, None, tmp_path / "three", base=index, task="search", where="class = green and score > 0.5")
    assert names(tmp_path / "three") == ["green"]


@pytest.mark.process
def test_networks_in_a_process_of_their_own_give_the_same_index(model, photos, tmp_path):
    """As for all products."""
    local = made(model, photos, tmp_path / "one")
    isolated = made(model, photos, tmp_path / "two", executor="isolated")
    assert content(local) == content(isolated)


def test_an_order_continues_with_the_entries_of_its_records(model, photos, tmp_path, caplog):
    """No picture is measured again for the index."""
    store = FolderStore(model, photos, tmp_path / "out")
    for _ in range(2):
        with caplog.at_level(logging.INFO):
            assert job.run_order(parse({"executor": "local", "index": True}), store, LOG).error is None
    assert "4 unchanged since an earlier run" in caplog.text
    assert aspect(tmp_path / "out", "index.tgz")["vectors"] == 4
    with np.load(tmp_path / "out" / "features.npz") as arrays:
        assert len(arrays["vectors"]) == 4


def test_an_index_is_not_overwritten_by_the_order_that_begins_with_it(model, photos, tmp_path):
    """A killed order would leave neither the old index nor a new one; without overwrite, it is replaced at the end."""
    index = made(model, photos, tmp_path / "one")
    before = content(index)
    with pytest.raises(ParameterError, match="overwrite would remove it") as raised:
        FolderStore(model, photos, tmp_path / "one", overwrite=True, index=index)
    assert raised.value.where == "from-index"
    assert content(index) == before


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("quadrat.index.schema.create", sqlite3.OperationalError("database or disk is full")),
        ("quadrat.index.schema.open_for_writing", sqlite3.OperationalError("database or disk is full")),
        ("quadrat.report.indexing.shutil.copyfile", OSError(errno.ENOSPC, "No space left on device")),
        ("quadrat.index.write.IndexWriter._entry", sqlite3.OperationalError("database or disk is full")),
        ("quadrat.index.archive.pack", OSError(errno.ENOSPC, "No space left on device")),
    ],
)
def test_a_full_disk_is_one_clear_line(model, photos, tmp_path, place, error):
    """Wherever the index is when it happens."""

    def full(*_given: object, **_more: object) -> None:
        raise error

    base = made(model, photos, tmp_path / "one") if "create" not in place else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, full)
        outcome = run(model, photos, tmp_path / "two", base=base, index=True)
    assert outcome.error.code == "E_DELIVERY"
    assert "the disk is full" in outcome.error.line


@pytest.mark.parametrize("limit", ["MAX_PACKED", "MAX_UNPACKED"])
def test_an_index_that_could_not_be_read_again_is_not_delivered(model, photos, tmp_path, monkeypatch, limit):
    """Neither one that is too large as a file nor one that is too large unpacked; all else is delivered."""
    monkeypatch.setattr(f"quadrat.report.indexing.{limit}", 1000)
    outcome = run(model, photos, tmp_path / "out", index=True)
    assert outcome.error.code == "E_INDEX"
    assert "are the most that are read" in outcome.error.line
    assert {"survey.csv", "features.npz"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert not (tmp_path / "out" / "index.tgz").exists()
