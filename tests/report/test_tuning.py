"""What was tried for auto: a row for each pair of values, a picture, and an entry of run.json."""

from __future__ import annotations

import csv
import io
import json

from PIL import Image

from quadrat.records import Trial, Tuning
from quadrat.report.names import Names
from quadrat.report.run_record import TIMES, run_record
from quadrat.report.survey import Totals
from quadrat.report.tuning import COLUMNS, tuning_products
from tests.report.things import WHO, facts
from tests.values import settings_of

TRIALS = (
    Trial(1, 1, "ok", 5, 0.1, 10.0, 1_000_000),
    Trial(2, 1, "ok", 5, 0.05, 20.0, 1_000_000),
    Trial(2, 2, "ok", 5, 0.05, 40.0, 2_000_000),
    Trial(2, 4, "other values", memory=4_000_000),
    Trial(2, 8, "no memory"),
)
CHOSEN = Tuning(facts("detect").name, (3, 64, 96), 2, 2, TRIALS, 3.5, 1, "2026-12-01T10:00:00+00:00")


def test_nothing_is_delivered_without_auto() -> None:
    """Neither a table nor an entry."""
    assert not list(tuning_products((), WHO, Names()))
    record = run_record(settings_of().values(), [facts("detect")], [], Totals(), 1.0)
    assert "tuning" not in record.content


def test_the_table_has_a_row_for_each_pair_of_values() -> None:
    """One of them is chosen; what was not measured is empty."""
    table, picture = tuning_products((CHOSEN,), WHO, Names())
    assert isinstance(table.body, bytes)
    rows = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert [row["outcome"] for row in rows] == [each.outcome for each in TRIALS]
    assert [row["batch_size"] for row in rows if row["chosen"]] == ["2"]
    assert rows[2] == dict(
        zip(COLUMNS, (CHOSEN.model, "2", "2", "ok", "yes", "40.000", "0.050000", "5", "2.0", ""), strict=True)
    )
    assert rows[4]["inputs_per_second"] == rows[4]["memory_mb"] == ""
    assert (table.name, picture.name) == ("tuning.csv", "tuning.png")
    assert len(table.metadata) >= 6
    assert isinstance(picture.body, bytes)
    with Image.open(io.BytesIO(picture.body)) as image:
        image.load()
        assert image.format == "PNG"


def test_the_record_has_the_values_in_force() -> None:
    """They are those that were chosen; the times are no part of the aspect, as two runs differ in them."""
    values = settings_of(batch_size="auto", cpu_threads="auto").values()
    record = run_record(values, [facts("detect")], [], Totals(), 1.0, tuning=[CHOSEN])
    content = json.loads(json.dumps(record.content, allow_nan=False))
    assert content["settings"]["batch-size"] == content["settings"]["cpu-threads"] == "auto"
    for in_force in (content["in-force"], content["models"][0]["in-force"]):
        assert (in_force["batch-size"], in_force["cpu-threads"]) == (2, 2)
    (entry,) = content["tuning"]
    assert (entry["seconds"], entry["remembered"], len(entry["tried"])) == (3.5, False, 5)
    assert not set(TIMES) & set(record.product("run.json").metadata)
