"""The record of a run is strict JSON, says where the time went, and holds no secret."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import pytest

from quadrat.parameters import Settings
from quadrat.report.record import run_record
from tests.report.things import WHO
from tests.values import settings_of


@dataclass
class Stage:
    """Seconds of a stage."""

    name: str
    busy_s: float
    starved_s: float
    blocked_s: float
    ahead: int


def test_the_record_accounts_for_the_time() -> None:
    """Busy and waiting seconds of each stage, its queue, and its share of the wall's."""
    stages = [Stage("read", 2.5, 0.0, 7.5, 4), Stage("infer", 10.0, 0.0, 0.0, 1)]
    counts = {"ok": 2, "partial": 1}
    settings = settings_of(outputs=("annotated",))
    record = run_record(
        settings, WHO, stages, counts, 10.0, task="detect", moving=True, sources=[{"name": "a"}]
    )
    content = json.loads(json.dumps(record.content, allow_nan=False))

    assert content["$schema"] == "urn:ibenthos:schema:quadrat.run.1"
    assert {
        "name": "read", "busy-seconds": 2.5, "waiting-for-input-seconds": 0.0, "waiting-for-output-seconds": 7.5,
        "occupancy": 0.25, "queue": 4,
    } == content["stages"][0]  # fmt: skip
    assert (content["settings"]["outputs"], content["settings"]["max-img-size"]) == (["annotated"], None)
    assert content["counts"] == {"ok": 2, "partial": 1}
    assert content["machine"]["cores"] >= 1
    assert {"python", "numpy"} <= set(content["versions"])


def test_the_product_is_the_record_and_its_aspect_is_short() -> None:
    """The aspect has six keys or more and leaves the sources to the file."""
    record = run_record(settings_of(), WHO, [], {}, 0.0, task="detect", moving=True, sources=[{"name": "a"}])
    product = record.product("run-2.json")

    assert (product.name, product.mime) == ("run-2.json", "application/json")
    assert isinstance(product.body, bytes)
    assert json.loads(product.body)["sources"] == [{"name": "a"}]
    assert len(product.metadata) >= 6
    assert "sources" not in product.metadata


def record_of(settings: Settings, task: str, *, moving: bool = False) -> Any:
    """Give what a run's record holds."""
    return run_record(settings, WHO, [], {}, 0.0, task=task, moving=moving).content


@pytest.mark.parametrize(
    ("task", "moving", "settings", "in_force"),
    [
        ("segment", False, {}, {"max-img-size": 1_000_000}),
        ("segment", True, {"max_img_size": 5000}, {"max-img-size": 5000}),
        ("segment", False, {"max_img_size": -1}, {}),
        ("segment", False, {"tile_size": 640}, {"tile-overlap": 128}),
        ("segment", False, {"tile_size": 640, "tile_overlap": 0}, {"tile-overlap": 0}),
        ("detect", False, {}, {}),
        ("detect", False, {"max_img_size": 5000}, {"max-img-size": 5000}),
        ("detect", False, {"max_img_size": 1_000_000}, {"max-img-size": 1_000_000}),
        (
            "segment",
            False,
            {"max_img_size": 1_000_000, "tile_size": 640},
            {"max-img-size": 1_000_000, "tile-overlap": 128},
        ),
        ("detect", True, {"tracker": "sort"}, {"tracker": "sort"}),
        ("detect", True, {"tracker": "none"}, {}),
    ],
)
def test_what_was_in_force_is_told_beside_the_settings(
    task: str, moving: bool, settings: dict[str, Any], in_force: dict[str, Any]
) -> None:
    """A default that the task or the sources have no use for is null there, and a stand-in is its true value."""
    record = record_of(settings_of(**settings), task, moving=moving)
    cores = len(os.sched_getaffinity(0))

    expected = dict.fromkeys(("max-img-size", "tile-overlap", "tracker")) | {"cpu-threads": min(10, cores)}
    assert expected | in_force == record["in-force"]
    assert {"max-img-size", "cpu-threads", "tile-overlap", "tracker"} <= set(record["settings"])


def test_outputs_that_nobody_chose_are_called_auto() -> None:
    """An empty list would read as if no picture was made."""
    assert ["auto"] == record_of(settings_of(), "segment")["settings"]["outputs"]
    assert ["none"] == record_of(settings_of(outputs=("none",)), "segment")["settings"]["outputs"]
