"""Orders that search in an index, with networks whose answers are known."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from PIL import Image

from quadrat.errors import ParameterError
from quadrat.index.archive import unpacked
from quadrat.index.read import IndexReader
from quadrat.parameters import parse
from tests import videos
from tests.index.orders import found, made, names, run
from tests.index.things import entry, packed, source
from tests.networks import brightness_archive, colour_archive


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


def test_queries_of_one_name_stay_apart(model, photos, tmp_path):
    """Frames of a fast video have equal times in two decimals: each has its own rows and its own picture."""
    index = made(model, photos, tmp_path / "one")
    (tmp_path / "in").mkdir()
    colours = [(255, 0, 0), (0, 128, 0), (90, 90, 90)]
    frames = [np.full((48, 64, 3), colour, np.uint8) for colour in colours]
    videos.write(tmp_path / "in" / "fast.mp4", frames, rate=1000)
    settings = {"task": "search", "max_results": 1, "moving": True}
    assert run(model, tmp_path / "in", tmp_path / "out", base=index, **settings).error is None

    rows = found(tmp_path / "out")
    assert [row["rank"] for row in rows] == ["1"] * 3
    assert len({row["query"] for row in rows}) == 3
    assert names(tmp_path / "out") == ["red", "green", "grey"]


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


def test_a_result_shows_the_class_that_is_asked_for(tmp_path):
    """Not the one with the highest score of the row; the others follow in results.json."""
    index = packed(tmp_path, (source("a.jpg"), [entry(("cod", 0.9, None), ("crab", 0.3, None))]))
    for where, first in (("class = crab", "crab"), ("kind = image", "cod")):
        assert run(None, None, tmp_path / "out", base=index, task="search", where=where).error is None
        (row,) = found(tmp_path / "out")
        assert row["class"] == first
        written = json.loads((tmp_path / "out" / "results.json").read_text())["results"][0]["classes"]
        assert sorted(each["name"] for each in written) == ["cod", "crab"]
        assert written[0]["name"] == first


def test_a_filter_tells_how_many_rows_it_selects(model, photos, tmp_path, caplog):
    """If more than are listed."""
    index = made(model, photos, tmp_path / "one")
    with caplog.at_level(logging.INFO):
        run(None, None, tmp_path / "out", base=index, task="search", where="kind = image", max_results=3)
    assert "4 rows match; the first 3 are in results.csv, and max-results gives more" in caplog.text
    assert "Look at results.jpg first" in caplog.text


def test_a_class_that_the_index_does_not_have_is_named(tmp_path, caplog):
    """With the one that was probably meant, or with those that it has; upper and lower case are the same."""
    index = packed(tmp_path, (source("a.jpg"), [entry(("Person", 0.9, None), ("crab", 0.3, None))]))
    with caplog.at_level(logging.INFO):
        for where in ("class = persn", "class = whale", "class == PERSON"):
            assert run(None, None, tmp_path / "out", base=index, task="search", where=where).error is None
    assert "The index has no class 'persn': did you mean 'Person'?" in caplog.text
    assert "The index has no class 'whale': it has Person, crab" in caplog.text
    assert "PERSON" not in caplog.text
    assert "1 row match" in caplog.text


def test_equal_pictures_have_a_similarity_of_1(tmp_path):
    """And nothing has more, though vectors are stored in float16."""
    drawn = np.random.default_rng(5).normal(size=(40, 256))
    index = packed(tmp_path, *((source(f"{n}.jpg"), [entry(vector=each)]) for n, each in enumerate(drawn)))
    for settings in ({"find": "outliers"}, {"like_row": 3}, {"find": "duplicates", "min_similarity": -1.0}):
        assert run(None, None, tmp_path / "out", base=index, task="search", **settings).error is None
        assert all(float(row["score"]) <= 1 for row in found(tmp_path / "out"))
    with unpacked(index) as database:
        reader = IndexReader(database)
        (block,) = reader.blocks()
        reader.close()
    assert np.linalg.norm(block, axis=1) == pytest.approx(1, abs=1e-6)
    true = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    assert np.abs(block @ block.T - true @ true.T).max() < 1e-4


def test_vectors_of_enhanced_pictures_are_others(model, photos, tmp_path):
    """They are compared only with those after the same steps."""
    index = made(model, photos, tmp_path / "one", enhance="clahe")
    outcome = run(model, photos, tmp_path / "out", base=index, task="search")
    assert outcome.error is not None
    assert outcome.error.code == "E_INDEX"
    assert "after clahe" in outcome.error.line
    assert run(model, photos, tmp_path / "two", base=index, task="search", enhance="clahe").error is None
