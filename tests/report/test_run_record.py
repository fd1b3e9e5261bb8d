"""The record of a run is strict JSON, shows where the time went, and holds no secret."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from quadrat.errors import StreamError, TooManyObjectsError
from quadrat.parameters import Settings
from quadrat.pipeline.models import LoadedModel
from quadrat.records import ModelRecord, SourceRecord
from quadrat.report.run_record import Record, reading_of, run_record
from quadrat.report.survey import Totals
from quadrat.types import Gap, ModelPackage, Reading, Source
from tests.report.things import HW, VIDEO, WHO, facts, labelled
from tests.values import settings_of


@dataclass
class Stage:
    """Seconds of a stage."""

    name: str
    busy_s: float
    starved_s: float
    blocked_s: float
    ahead: int


def made(settings: Settings | None = None, **more: Any) -> Record:
    """Record a run of one model."""
    values = {"models": [facts("detect")], "stages": [], "totals": Totals(), "wall_s": 0.0} | more
    return run_record((settings or settings_of()).values(), **values)


def in_force_of(task: str, *, moving: bool, **settings: Any) -> dict[str, Any]:
    """Give what a run of a model of this task makes of settings."""
    opened = ModelPackage(Path(), "m", "", task, {}, None, (), (), None, ())
    unused: Any = None
    return LoadedModel(opened, unused, unused, unused, settings_of(**settings)).in_force(moving=moving)


def test_the_record_accounts_for_the_time() -> None:
    """Busy and waiting seconds of each stage, its queue, and its share of the wall's."""
    stages = [Stage("read", 2.5, 0.0, 7.5, 4), Stage("infer", 10.0, 1.0, 0.0, 1)]
    totals = Totals()
    totals.counts.update({"ok": 2, "partial": 1})
    record = made(
        settings_of(outputs=("annotated",)),
        stages=stages,
        totals=totals,
        wall_s=10.0,
        sources=[{"name": "a"}],
    )
    content = json.loads(json.dumps(record.content, allow_nan=False))

    assert content["$schema"] == "urn:ibenthos:schema:quadrat.run.1"
    assert {
        "name": "read", "busy-seconds": 2.5, "waiting-for-input-seconds": 0.0, "waiting-for-output-seconds": 7.5,
        "occupancy": 0.25, "queue": 4,
    } == content["stages"][0]  # fmt: skip
    assert content["stages"][1]["waiting-for-input-seconds"] == 1.0
    assert content["wall-seconds"] == 10.0
    assert (content["settings"]["outputs"], content["settings"]["tile-size"]) == (["annotated"], 0)
    assert content["counts"] == {"ok": 2, "partial": 1}
    assert content["machine"]["cores"] >= content["machine"]["cores-usable"] >= 1
    assert content["versions"]["numpy"] == version("numpy")
    assert "python" in content["versions"]


def test_the_product_is_the_record_and_its_aspect_is_short() -> None:
    """The aspect has six keys or more and leaves the sources to the file."""
    product = made(sources=[{"name": "a"}]).product("run-2.json")

    assert (product.name, product.mime) == ("run-2.json", "application/json")
    assert isinstance(product.body, bytes)
    assert json.loads(product.body)["sources"] == [{"name": "a"}]
    assert len(product.metadata) >= 6
    assert "sources" not in product.metadata
    assert product.metadata["order"] == "urn:order"


@pytest.mark.parametrize(
    ("task", "moving", "settings", "in_force"),
    [
        ("segment", False, {}, {"max-img-size": 1_000_000}),
        ("segment", True, {"max_img_size": 5000}, {"max-img-size": 5000}),
        ("segment", False, {"max_img_size": -1}, {}),
        ("segment", False, {"tile_size": 640}, {"tile-overlap": 128}),
        ("segment", False, {"tile_size": 640, "tile_overlap": 0}, {"tile-overlap": 0}),
        ("segment", True, {"tracker": "sort"}, {"max-img-size": 1_000_000}),
        ("detect", False, {}, {"min-score": 0.25}),
        ("detect", False, {"min_score": 0.4}, {"min-score": 0.4}),
        ("detect", False, {"max_img_size": 5000}, {"max-img-size": 5000, "min-score": 0.25}),
        ("detect", False, {"max_img_size": 1_000_000}, {"max-img-size": 1_000_000, "min-score": 0.25}),
        (
            "segment",
            False,
            {"max_img_size": 1_000_000, "tile_size": 640},
            {"max-img-size": 1_000_000, "tile-overlap": 128},
        ),
        ("detect", True, {"tracker": "sort"}, {"tracker": "sort", "min-score": 0.25}),
        ("detect", False, {"tracker": "sort"}, {"min-score": 0.25}),
        ("detect", True, {"tracker": "none"}, {"min-score": 0.25}),
    ],
)
def test_values_in_force_stand_beside_the_settings(
    task: str, moving: bool, settings: dict[str, Any], in_force: dict[str, Any]
) -> None:
    """A default that the task or the sources have no use for is null there; an automatic value is resolved."""
    found = in_force_of(task, moving=moving, **settings)
    content = made(settings_of(**settings), models=[replace(facts(task), in_force=found)]).content
    cores = len(os.sched_getaffinity(0))

    expected = dict.fromkeys(("max-img-size", "tile-overlap", "tracker", "min-score")) | {
        "cpu-threads": min(10, cores)
    }
    assert expected | in_force == content["in-force"] == content["models"][0]["in-force"]
    assert {"max-img-size", "cpu-threads", "tile-overlap", "tracker"} <= set(content["settings"])


def test_outputs_that_nobody_chose_are_called_auto() -> None:
    """An empty list would read as if no picture was made."""
    assert ["auto"] == made().content["settings"]["outputs"]
    assert ["none"] == made(settings_of(outputs=("none",))).content["settings"]["outputs"]


def test_every_model_is_listed() -> None:
    """With its task, label, provenance and the values in force for it; one alone has no label."""
    several = [
        replace(each, provenance=replace(WHO, model=f"urn:{each.name}"), in_force={"tracker": each.task})
        for each in labelled(reef="segment", fish="detect")
    ]
    content = made(models=several).content
    reef, fish = content["models"]

    assert ("reef", "segment", "reef", "urn:reef") == tuple(
        reef[k] for k in ("name", "task", "label", "model")
    )
    assert [{"tracker": "segment"}, {"tracker": "detect"}] == [reef["in-force"], fish["in-force"]]
    assert (content["model"], content["provenance"]["model"]) == ("urn:reef", "urn:reef")
    assert content["in-force"] == reef["in-force"]
    (one,) = made().content["models"]
    assert (one["name"], one["label"], one["result-digest"]) == ("m", None, "d3")


def test_a_reading_is_plain_values() -> None:
    """Frames, skipped frames by reason, gaps as a number and a sum, and all errors in one line."""
    reading = Reading(
        HW,
        25.0,
        20,
        read=9,
        taken=8,
        dropped=1,
        damaged=2,
        seconds=8 / 23,
        gaps=(Gap(0, 1, "a"), Gap(2, 4.5, "b")),
        warnings=("it is interlaced",),
    )
    faults = (TooManyObjectsError("more"), StreamError("it was lost"))
    part = ModelRecord("m", "detect", skipped={"black": 2})

    assert reading_of(SourceRecord(VIDEO, "partial", faults, reading=reading, models=(part,))) == {
        "source": "urn:v", "name": "a/dive.mp4", "error": "E_TOO_MANY more; E_STREAM it was lost", "media": "video",
        "seconds": 0.348, "declared-frames": 20, "read": 9, "taken": 8, "dropped": 1, "damaged": 2,
        "skipped": {"black": 2}, "gaps": 2, "gap-seconds": 3.5, "warnings": ["it is interlaced"],
    }  # fmt: skip


def test_a_reading_without_faults_has_no_error() -> None:
    """And a source that was not read has no reading."""
    assert reading_of(SourceRecord(VIDEO, "ok", reading=Reading(HW)))["error"] is None
    assert reading_of(SourceRecord(VIDEO, "failed")) == {}


def test_a_streams_login_is_in_no_reading() -> None:
    """Neither in its names nor in its error."""
    address = "rtsp://u:s3cret@cam/1"
    error = StreamError("it was lost", where=address)
    record = SourceRecord(Source(address, address, "stream"), "partial", (error,), reading=Reading(HW))

    assert "s3cret" not in str(reading_of(record))
    assert reading_of(record)["name"] == "rtsp://***@cam/1"
