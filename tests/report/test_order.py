"""The products of an order's end: survey.csv first, then run.json and the tables of each model."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import NotAnImageError, StreamError
from quadrat.pipeline.measure import failed_record, not_reached_record
from quadrat.report.columns import CHUNK_FRAMES
from quadrat.report.survey import COLUMNS
from quadrat.types import Failure, Source
from tests.report.test_masks import mask
from tests.report.things import Desk, body, end, frame, labelled, many, photo, read, video

MODELS = {"reef": "segment", "fish": "detect"}


def measure(desk: Desk, name: str, frames: int, seed: int = 0) -> None:
    """Measure a video with a mask, objects, or both."""
    source = video(name)
    for index in range(frames):
        found = {"reef": mask(0.1 * (seed % 9)), "fish": many(3, seed + index)}
        own = {each.name: found["reef" if each.task == "segment" else "fish"] for each in desk.facts}
        desk.frame(frame(index, own, source))
    list(desk.closed(end(frames, source, models=[each.name for each in desk.facts])))


def ends(desk: Desk) -> dict[str, bytes]:
    """Give the bytes of all tables; run.json has times."""
    return {name: body(each) for name, each in desk.products.items() if name != "run.json"}


@settings(max_examples=15, deadline=None)
@given(st.permutations(["a", "b", "c", "d"]), st.sampled_from(["segment", "detect", "both"]))
def test_tables_do_not_depend_on_the_order_in_which_videos_finish(
    tmp_path_factory: pytest.TempPathFactory, finished: list[str], task: str
) -> None:
    """Several are measured at once; every run gives the same bytes."""
    models = labelled(**MODELS) if task == "both" else [task]
    bodies = []
    for names in (sorted(finished), finished):
        desk = Desk(tmp_path_factory.mktemp("t"), *models)
        for name in names:
            measure(desk, name, 2, ord(name))
        lost = Source("urn:bb", "bb.mp4", "video")
        desk.add(failed_record(Failure(lost, "read", StreamError("it was lost"))))
        bodies.append(ends(desk))

    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("models", [["segment"], ["detect"], labelled(**MODELS)])
@pytest.mark.parametrize("frames", [3, CHUNK_FRAMES + 3])
def test_pickled_records_give_equal_tables(tmp_path: Path, models: list, frames: int) -> None:
    """Records go to files and other processes; also those whose columns are in a file."""
    desk = Desk(tmp_path / "a", *models)
    for name in "ab":
        measure(desk, name, frames, ord(name))
    copy = Desk(tmp_path / "b", *models)
    for record in pickle.loads(pickle.dumps(desk.records)):
        copy.add(record)

    assert ends(desk) == ends(copy)
    assert all(b"\n" in table for table in ends(copy).values())


def test_the_survey_comes_first(tmp_path: Path) -> None:
    """Before anything that can fail."""
    desk = Desk(tmp_path, *labelled(**MODELS))
    measure(desk, "a", 1)
    fish = ["fish.detections.csv", "fish.detections.jsonl", "fish.coco.json", "fish.tracks.csv"]

    assert ["survey.csv", "run.json", "reef.cover.csv", *fish, "frames.csv"] == list(desk.products)
    assert [("survey.csv", "text/csv"), ("run.json", "application/json")] == [
        (each.name, each.mime) for each in list(desk.products.values())[:2]
    ]


def test_an_empty_order_has_tables(tmp_path: Path) -> None:
    """Their heads are there."""
    desk = Desk(tmp_path)

    assert desk.rows == []
    assert desk.products["survey.csv"].metadata["images"] == 0
    assert read(desk.tables["detections.csv"]) == []


def test_the_aspect_of_the_survey_has_the_totals(tmp_path: Path) -> None:
    """Sources by status, and what the task counts."""
    desk = Desk(tmp_path)
    measure(desk, "a", 2)
    desk.add(failed_record(Failure(Source("urn:x", "x"), "list", NotAnImageError("a marker"))))
    desk.add(not_reached_record(Source("urn:y", "y.mp4", "video"), "stopped"))
    aspect = desk.products["survey.csv"].metadata

    assert (3, 1, 0, 1, 1) == tuple(
        aspect[k] for k in ("images", "measured", "failed", "skipped", "not-reached")
    )
    assert sum(each["objects"] for each in aspect["objects"]) == 6
    assert "models" not in aspect
    assert len(desk.report.book) == 3


def test_several_models_are_told_apart_everywhere(tmp_path: Path) -> None:
    """Rows, totals, the record of the run; each as if it had been alone but for the label."""
    both = Desk(tmp_path / "both", *labelled(**MODELS))
    alone = {name: Desk(tmp_path / name, task) for name, task in MODELS.items()}
    for desk in (both, *alone.values()):
        measure(desk, "a", 3, 5)
    aspect = both.products["survey.csv"].metadata
    run = json.loads(body(both.products["run.json"]))

    assert [("reef", "segment", "reef"), ("fish", "detect", "fish")] == [
        (each["name"], each["task"], each["label"]) for each in run["models"]
    ]
    assert ["reef", "fish"] == [each["name"] for each in aspect["models"]]
    assert aspect["mean-cover"] == []
    for name, desk in alone.items():
        (totals,) = [each for each in aspect["models"] if each["name"] == name]
        own = desk.products["survey.csv"].metadata
        assert {key: own[key] for key in totals if key != "name"} == {
            key: value for key, value in totals.items() if key != "name"
        }
        rows = [row for row in both.rows if row["model"] == name]
        assert [{k: v for k, v in row.items() if k not in ("model", "product")} for row in rows] == [
            {k: v for k, v in row.items() if k != "product"} for row in desk.rows
        ]
    assert {"a.reef.cover.csv", "a.fish.mot.txt"} == {row["product"] for row in both.rows}
    assert both.tables["reef.cover.csv"] == alone["reef"].tables["cover.csv"]
    assert both.tables["fish.detections.csv"] == alone["fish"].tables["detections.csv"]


def test_one_model_gives_exactly_the_old_columns(tmp_path: Path) -> None:
    """The column of models is there only if there are several."""
    desk = Desk(tmp_path)
    measure(desk, "a", 1)

    assert desk.text.splitlines()[0] == ",".join(COLUMNS)


def test_what_was_read_is_in_the_record_of_the_run(tmp_path: Path) -> None:
    """Of every video, in order of name; photographs have no reading."""
    desk = Desk(tmp_path)
    for name in "ba":
        measure(desk, name, 2)
    list(desk.picture(photo(many(1, tracked=False))))
    desk.add(failed_record(Failure(Source("urn:x", "x.mp4", "video"), "read", StreamError("it was lost"))))
    run = json.loads(body(desk.products["run.json"]))

    assert [("a.mp4", 2), ("b.mp4", 2)] == [(each["name"], each["read"]) for each in run["sources"]]
    assert run["counts"] == {"ok": 3, "failed": 1}
    assert run["wall-seconds"] == 1.0
