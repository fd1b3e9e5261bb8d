"""run.json: the settings of an order, the machine that ran it, and the time of every stage."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol

from quadrat.parameters import RUN
from quadrat.records import SourceRecord, Tuning
from quadrat.report.aspects import provenance_part
from quadrat.report.base import ModelFacts, error_text
from quadrat.report.survey import Totals
from quadrat.report.tuning import as_json
from quadrat.stores.addresses import shown
from quadrat.types import Product

TIMES = ("wall-seconds", "stages", "tuning")
"""The entries of run.json in which two runs of one order differ; no other file of the results has any but tuning.csv."""
LIBRARIES = (
    "numpy",
    "opencv-python-headless",
    "av",
    "scipy",
    "openvino",
    "onnxruntime",
    "pillow",
    "simplejpeg",
)


class Timed(Protocol):
    """A stage of the chain, with the seconds that it was busy, waited for input, and waited for the next stage."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def busy_s(self) -> float:
        """Seconds at work."""

    @property
    def starved_s(self) -> float:
        """Seconds waiting for an item."""

    @property
    def blocked_s(self) -> float:
        """Seconds waiting for the next stage to take an item."""

    @property
    def ahead(self) -> int:
        """The number of items that its queue holds."""


@dataclass(frozen=True, slots=True)
class Record:
    """The record of one run; `content` is strict JSON."""

    content: Mapping[str, Any]

    def product(self, name: str) -> Product:
        """Make the product; its aspect is the content without `sources` and without what two runs differ in."""
        body = (json.dumps(self.content, indent=2, allow_nan=False) + "\n").encode()
        aspect = {key: value for key, value in self.content.items() if key not in ("sources", *TIMES)}
        return Product(name, "application/json", body, aspect)


def run_record(
    settings: Mapping[str, Any],
    models: Sequence[ModelFacts],
    stages: Sequence[Timed],
    totals: Totals,
    wall_s: float,
    *,
    sources: Sequence[Mapping[str, Any]] = (),
    means: Sequence[Mapping[str, Any]] = (),
    warnings: Sequence[str] = (),
    tuning: Sequence[Tuning] = (),
) -> Record:
    """Record a run of `wall_s` seconds.

    `settings` are its values by field, `sources` the readings of its videos, and `means` the means over its images
    for each model. `warnings` say what makes its results doubtful. `tuning` is what was chosen with batch-size=auto or
    cpu-threads=auto.
    """
    first = models[0].provenance
    return Record(
        {
            "$schema": RUN,
            "order": first.order,
            "model": first.model,
            "models": [_model(model, tuning) for model in models],
            "settings": _settings(settings),
            "in-force": _in_force(models[0], tuning),
            "provenance": provenance_part(first),
            "machine": {
                "architecture": platform.machine(),
                "system": platform.system(),
                "cores": os.cpu_count(),
                "cores-usable": _usable(),
            },
            "versions": {"python": platform.python_version(), **_versions()},
            "counts": dict(sorted(totals.counts.items())),
            "flags": dict(sorted(totals.flags.items())),
            "totals": [dict(each) for each in means],
            "warnings": list(warnings),
            "wall-seconds": round(wall_s, 3),
            **({"tuning": [as_json(each) for each in tuning]} if tuning else {}),
            "stages": [_stage(stage, wall_s) for stage in stages],
            "sources": [dict(source) for source in sources],
        }
    )


def reading_of(record: SourceRecord) -> dict[str, Any]:
    """Describe what was read of a video in plain values, with the number of its gaps and their sum."""
    source, reading = record.source, record.reading
    if reading is None:
        return {}
    text: dict[str, Any] = {
        "source": shown(source.urn, source),
        "name": shown(source.name, source),
        "error": shown(error_text(record.faults) or "", source) or None,
        "warnings": list(reading.warnings),
    }
    return text | {
        "media": source.media,
        "seconds": round(reading.seconds, 3),
        "declared-frames": reading.declared_frames,
        "read": reading.read,
        "taken": reading.taken,
        "dropped": reading.dropped,
        "damaged": reading.damaged,
        "skipped": dict(record.models[0].skipped) if record.models else {},
        "gaps": len(reading.gaps),
        "gap-seconds": round(sum(gap.end_s - gap.start_s for gap in reading.gaps), 3),
    }


def _in_force(model: ModelFacts, tuning: Sequence[Tuning]) -> dict[str, Any]:
    """Return the values in force of a model's settings, with those that were chosen by trying."""
    chosen = next((each for each in tuning if each.model == model.name), None)
    if chosen is None:
        return dict(model.in_force)
    return {**model.in_force, "batch-size": chosen.batch_size, "cpu-threads": chosen.cpu_threads}


def _model(model: ModelFacts, tuning: Sequence[Tuning]) -> dict[str, Any]:
    """Describe one model of the run."""
    return {
        "name": model.name,
        "task": (model.own or model).task,
        **({"on-objects-of": model.about} if model.about else {}),
        "label": model.label or None,
        **provenance_part(model.provenance),
        "in-force": _in_force(model, tuning),
        "trained-side": model.trained_side,
    }


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return every setting by the name of its parameter, given or default."""
    named = {name.replace("_", "-"): value for name, value in values.items()}
    return named | {"outputs": list(values["outputs"]) or ["auto"]}


def _stage(stage: Timed, wall_s: float) -> dict[str, Any]:
    return {
        "name": stage.name,
        "busy-seconds": round(stage.busy_s, 3),
        "waiting-for-input-seconds": round(stage.starved_s, 3),
        "waiting-for-output-seconds": round(stage.blocked_s, 3),
        "occupancy": round(stage.busy_s / max(wall_s, 1e-9), 4),
        "queue": stage.ahead,
    }


def _usable() -> int | None:
    """Count the cores that this process may use, if the system can tell; otherwise all cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _versions() -> dict[str, str]:
    """Return the versions of the installed libraries without importing them."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
