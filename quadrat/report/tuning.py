"""tuning.csv and tuning.png: what was tried for batch-size=auto and cpu-threads=auto, and what was chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from quadrat.records import Trial, Tuning
from quadrat.render.plot import Line, draw_plot
from quadrat.report.aspects import table_aspect
from quadrat.report.base import plain
from quadrat.report.names import Names
from quadrat.report.survey import csv_line
from quadrat.types import Product, Provenance

TABLE, PICTURE = "tuning.csv", "tuning.png"
COLUMNS = (
    "model", "cpu_threads", "batch_size", "outcome", "chosen", "inputs_per_second", "seconds_per_run", "runs", "memory_mb",
    "remembered",
)  # fmt: skip


def tuning_products(tuning: Sequence[Tuning], made: Provenance, names: Names) -> Iterator[Product]:
    """Yield the table and the picture; nothing if no values were tried or remembered."""
    if not tuning:
        return
    rows = [_row(each, trial) for each in tuning for trial in each.trials]
    text = "".join(csv_line(line) for line in (COLUMNS, *(row.values() for row in rows)))
    table = names.whole(TABLE)
    yield Product(table, "text/csv", plain(text).encode(), table_aspect("tuning", COLUMNS, made, len(rows)))
    picture = names.whole(PICTURE)
    metadata = table_aspect("tuning-plot", ("batch_size", "inputs_per_second"), made, len(rows))
    yield Product(picture, "image/png", draw_plot(*_lines(tuning)), metadata)


def as_json(tuning: Tuning) -> dict[str, Any]:
    """Describe a choice in plain values for run.json."""
    return {
        "model": tuning.model,
        "batch-size": tuning.batch_size,
        "cpu-threads": tuning.cpu_threads,
        "input-shape": list(tuning.shape),
        "seconds": tuning.seconds,
        "loads": tuning.loads,
        "found": tuning.found,
        "remembered": tuning.remembered,
        "tried": [
            {
                "cpu-threads": each.cpu_threads,
                "batch-size": each.batch_size,
                "outcome": each.outcome,
                "inputs-per-second": None if each.rate is None else round(each.rate, 3),
            }
            for each in tuning.trials
        ],
    }


def _row(tuning: Tuning, trial: Trial) -> dict[str, Any]:
    chosen = (trial.cpu_threads, trial.batch_size) == (tuning.cpu_threads, tuning.batch_size)
    return {
        "model": tuning.model,
        "cpu_threads": trial.cpu_threads,
        "batch_size": trial.batch_size,
        "outcome": trial.outcome,
        "chosen": "yes" if chosen else "",
        "inputs_per_second": "" if trial.rate is None else f"{trial.rate:.3f}",
        "seconds_per_run": "" if trial.seconds is None else f"{trial.seconds:.6f}",
        "runs": trial.runs,
        "memory_mb": "" if trial.memory is None else f"{trial.memory / 1e6:.1f}",
        "remembered": "yes" if tuning.remembered else "",
    }


def _lines(tuning: Sequence[Tuning]) -> tuple[str, str, str, list[Line]]:
    """Return the title, the names of the axes and a line for each model and number of threads."""
    lines = []
    for each in tuning:
        name = f"{each.model}, " if len(tuning) > 1 else ""
        for threads in dict.fromkeys(trial.cpu_threads for trial in each.trials):
            own = [trial for trial in each.trials if trial.cpu_threads == threads]
            points = tuple((float(trial.batch_size), trial.rate) for trial in own if trial.rate)
            marked = float(each.batch_size) if threads == each.cpu_threads else None
            if points:
                lines.append(Line(f"{name}{threads} thread{'s' * (threads > 1)}", points, marked))
    return "Inputs per second by batch size; the chosen value is ringed", "batch size", "inputs/s", lines
