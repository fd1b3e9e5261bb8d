"""Orders that make an index, append to one, and search in one, with networks whose answers are known."""

from __future__ import annotations

import csv
import json
import logging
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
from tests.index.things import dump
from tests.networks import brightness_archive, colour_archive
from tests.results import aspect

LOG = logging.getLogger("test")
COLOURS = {"red": (255, 0, 0), "rose": (255, 30, 30), "green": (0, 128, 0), "grey": (90, 90, 90)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of one colour each, in two sites."""
    folder = tmp_path / "photos"
    for name, colour in COLOURS.items():
        site = folder / ("north" if name.startswith("r") else "south")
        site.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((24, 32, 3), colour, np.uint8)).save(site / f"{name}.png")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An archive whose vector is the mean colour."""
    return colour_archive(tmp_path / "colour.tgz")


def run(
    models: object,
    sources: object,
    out: Path,
    *,
    base: Path | None = None,
    moving: bool = False,
    **settings: object,
):
    """Run an order and return its outcome."""
    store = FolderStore(models or [], sources or [], out, index=base, moving=moving, overwrite=True)  # type: ignore[arg-type]
    return job.run_order(parse({"executor": "local", **settings}), store, LOG)


def made(model: object, photos: Path, out: Path, **settings: object) -> Path:
    """Make an index."""
    outcome = run(model, photos, out, index=True, **settings)
    assert outcome.error is None
    return out / "index.tgz"


def found(out: Path) -> list[dict[str, str]]:
    """Read the results of a search."""
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def names(out: Path) -> list[str]:
    """Return the names that were found, without folders and suffixes."""
    return [Path(row["name"]).stem for row in found(out)]


def content(index: Path) -> list[str]:
    """Return the content of an index."""
    with unpacked(index) as database:
        return dump(database)


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


def test_pictures_find_what_is_like_them(model, photos, tmp_path):
    """The same picture first, with a similarity of 1, then the nearest colour."""
    index = made(model, photos, tmp_path / "one")
    outcome = run(
        model, photos / "north" / "red.png", tmp_path / "out", base=index, task="search", max_results=2
    )

    assert outcome.error is None
    assert names(tmp_path / "out") == ["red", "rose"]
    scores = [float(row["score"]) for row in found(tmp_path / "out")]
    assert scores[0] == pytest.approx(1, abs=1e-3)
    assert scores[1] == pytest.approx(255 / np.linalg.norm((255, 30, 30)), abs=1e-3)
    assert {row["query"] for row in found(tmp_path / "out")} == {"red.png"}
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [each["row"] for each in written["results"]] == [
        int(row["row"]) for row in found(tmp_path / "out")
    ]
    with Image.open(tmp_path / "out" / "results.jpg") as sheet:
        assert sheet.width > 3 * 96


def test_a_filter_narrows_what_pictures_find(model, photos, tmp_path):
    """To rows that it holds for."""
    index = made(model, photos, tmp_path / "one")
    run(
        model, photos / "north" / "red.png", tmp_path / "out", base=index, task="search", where="site = south"
    )
    assert names(tmp_path / "out") == ["grey", "green"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"where": "site = north"}, ["red", "rose"]),
        ({"like_row": 1, "max_results": 2}, ["rose", "grey"]),
        ({"find": "duplicates", "min_similarity": 0.9}, ["red", "rose"]),
        ({"find": "outliers", "max_results": 1}, ["green"]),
        ({"find": "spread", "max_results": 2, "where": "not name ~ *rose*"}, ["grey", "red"]),
        ({"where": "site = west"}, []),
    ],
)
def test_searches_without_pictures(model, photos, tmp_path, settings, expected):
    """They need no model, and measure nothing."""
    index = made(model, photos, tmp_path / "one")
    outcome = run(None, None, tmp_path / "out", base=index, task="search", **settings)

    assert outcome.error is None
    assert names(tmp_path / "out") == expected
    assert not (tmp_path / "out" / "survey.csv").exists()
    assert (tmp_path / "out" / "results.jpg").exists() == bool(expected)


def test_an_index_without_vectors_knows_covers(photos, tmp_path):
    """A mask model gives classes, by which rows are found and ranked; what needs vectors is refused."""
    index = made(brightness_archive(tmp_path / "s.tgz"), photos, tmp_path / "one")
    run(None, None, tmp_path / "out", base=index, task="search", where="class = sand and cover > 0.5")
    assert sorted(names(tmp_path / "out")) == ["green", "grey", "red", "rose"]
    assert {row["cover"] for row in found(tmp_path / "out")} == {"1.000000"}

    outcome = run(None, None, tmp_path / "two", base=index, task="search", find="outliers")
    assert outcome.error is not None
    assert outcome.error.code == "E_INDEX"


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


def test_another_embedding_is_refused_before_anything_is_measured(model, photos, tmp_path):
    """For a search and for an index that is appended to."""
    index = made(model, photos, tmp_path / "one")
    other = colour_archive(tmp_path / "other.tgz", broken=True)
    for settings in ({"task": "search"}, {"index": True}):
        outcome = run(other, photos, tmp_path / "out", base=index, **settings)
        assert outcome.error is not None
        assert outcome.error.code == "E_INDEX"
        assert "cannot be compared" in outcome.error.line
        assert outcome.counts == {}


def test_a_damaged_index_is_refused_before_anything_is_measured(model, photos, tmp_path):
    """With its name."""
    index = made(model, photos, tmp_path / "one")
    index.write_bytes(index.read_bytes()[:-20])
    for models, sources in ((model, photos), (None, None)):
        outcome = run(models, sources, tmp_path / "out", base=index, task="search")
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.where) == ("E_INDEX", "index.tgz")


@pytest.mark.parametrize(
    ("pictures", "settings", "refusal"),
    [
        (True, {"task": "search", "where": "colour = red"}, ("E_INDEX_QUERY", "where")),
        (False, {"task": "search", "where": "colour = red"}, ("E_INDEX_QUERY", "where")),
        (False, {"task": "search", "like_row": 99}, ("E_INDEX_QUERY", "like-row")),
        (True, {"task": "search", "like_row": 1}, ("E_PARAMETER", "like-row")),
        (True, {"task": "search", "find": "outliers"}, ("E_PARAMETER", "find")),
        (False, {"task": "search", "index": True}, ("E_PARAMETER", "index")),
        (True, {}, ("E_PARAMETER", "from-index")),
    ],
)
def test_what_does_not_fit_is_refused(photos, tmp_path, pictures, settings, refusal):
    """Before anything is measured."""
    model = colour_archive(tmp_path / "colour.tgz")
    index = made(model, photos, tmp_path / "one")
    outcome = run(
        model if pictures else None, photos if pictures else None, tmp_path / "out", base=index, **settings
    )
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.where) == refusal
    assert outcome.counts == {}


def test_a_search_needs_an_index_and_pictures_a_model_with_vectors(photos, tmp_path, model):
    """Each is named."""
    assert run(None, None, tmp_path / "a", task="search").error.where == "from-index"
    index = made(model, photos, tmp_path / "one")
    masks = brightness_archive(tmp_path / "s.tgz")
    assert run(masks, photos, tmp_path / "b", base=index, task="search").error.where == "model"


def test_two_embeddings_in_one_index_are_refused(photos, tmp_path, model):
    """An index holds the vectors of one."""
    other = colour_archive(tmp_path / "other.tgz", broken=True, name="other")
    outcome = run([model, other], photos, tmp_path / "out", index=True)
    assert outcome.error.where == "index"
    assert outcome.counts == {}


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"where": "class = cod"}, "where"),
        ({"find": "outliers"}, "find"),
        ({"like_row": 3}, "like-row"),
        ({"task": "search", "min_similarity": 0.5}, "min-similarity"),
        ({"task": "search", "find": "spread", "like_row": 3}, "like-row"),
    ],
)
def test_settings_without_effect_are_refused(settings, where):
    """As everywhere."""
    with pytest.raises(ParameterError) as raised:
        parse(settings)
    assert raised.value.where == where


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

    outcome = run(models, photos / "b.png", tmp_path / "two", base=index, task="search", max_results=1)
    assert outcome.error is None
    assert [(row["query"], row["name"], row["x0"] != "") for row in found(tmp_path / "two")] == [
        ("b.png #1", "b.png", True),
    ]  # fmt: skip


def test_the_features_of_a_classifier(photos, tmp_path):
    """They are vectors like any others; a search by pictures says how to get them."""
    classifier = color_archive(tmp_path / "c.tgz", outputs={"logits": "values", "features": "means"})
    index = made(classifier, photos, tmp_path / "one")
    assert aspect(tmp_path / "one", "index.tgz")["vectors"] == 4

    picture = photos / "north" / "red.png"
    outcome = run(classifier, picture, tmp_path / "out", base=index, task="search")
    assert outcome.error is not None
    assert outcome.error.code == "E_INDEX"
    assert "--features" in outcome.error.line
    assert run(classifier, picture, tmp_path / "two", base=index, task="search", features=True).error is None
    assert names(tmp_path / "two")[:2] == ["red", "rose"]
    run(None, None, tmp_path / "three", base=index, task="search", where="class = green and score > 0.5")
    assert names(tmp_path / "three") == ["green"]


@pytest.mark.process
def test_networks_in_a_process_of_their_own_give_the_same_index(model, photos, tmp_path):
    """As for all products."""
    local = made(model, photos, tmp_path / "one")
    isolated = made(model, photos, tmp_path / "two", executor="isolated")
    assert content(local) == content(isolated)
