"""The record of a run is strict JSON, says where the time went, and holds no secret."""

from __future__ import annotations

import json
from dataclasses import dataclass

from quadrat.report.record import run_record
from quadrat.settings import Settings
from tests.report.things import WHO


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
    record = run_record(
        Settings(outputs=("annotated",)), WHO, stages, {"ok": 2, "partial": 1}, 10.0, sources=[{"name": "a"}]
    )
    content = json.loads(json.dumps(record.content, allow_nan=False))

    assert content["$schema"] == "urn:ibenthos:schema:quadrat.run.1"
    assert {
        "name": "read", "busy-seconds": 2.5, "waiting-for-input-seconds": 0.0, "waiting-for-output-seconds": 7.5,
        "occupancy": 0.25, "queue": 4,
    } == content["stages"][0]  # fmt: skip
    assert (content["settings"]["outputs"], content["settings"]["max-img-size"]) == (["annotated"], 1_000_000)
    assert content["counts"] == {"ok": 2, "partial": 1}
    assert content["machine"]["cores"] >= 1
    assert {"python", "numpy"} <= set(content["versions"])


def test_the_product_is_the_record_and_its_aspect_is_short() -> None:
    """The aspect has six keys or more and leaves the sources to the file."""
    product = run_record(Settings(), WHO, [], {}, 0.0, sources=[{"name": "a"}]).product("run-2.json")

    assert (product.name, product.mime) == ("run-2.json", "application/json")
    assert isinstance(product.body, bytes)
    assert json.loads(product.body)["sources"] == [{"name": "a"}]
    assert len(product.metadata) >= 6
    assert "sources" not in product.metadata
