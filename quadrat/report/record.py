"""run.json: what an order was asked, on what machine it ran, and where its time went."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol

from quadrat.engines.common import threads
from quadrat.parameters import RUN, Settings
from quadrat.report.aspects import provenance_part
from quadrat.types import Product, Provenance

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
    """A stage of the chain and its seconds: at work, waiting for items, waiting for the next stage to take one."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def busy_s(self) -> float:
        """Seconds at work."""

    @property
    def starved_s(self) -> float:
        """Seconds without an item."""

    @property
    def blocked_s(self) -> float:
        """Seconds with an item that nobody took."""

    @property
    def ahead(self) -> int:
        """How many items its queue holds."""


@dataclass(frozen=True, slots=True)
class Record:
    """The record of one run; `content` is strict JSON."""

    content: Mapping[str, Any]

    def product(self, name: str) -> Product:
        """Give it as a product, whose aspect has all but the sources."""
        body = (json.dumps(self.content, indent=2, allow_nan=False) + "\n").encode()
        aspect = {key: value for key, value in self.content.items() if key != "sources"}
        return Product(name, "application/json", body, aspect)


def run_record(
    settings: Settings,
    provenance: Provenance,
    stages: Sequence[Timed],
    counts: Mapping[str, int],
    wall_s: float,
    *,
    task: str,
    moving: bool,
    sources: Sequence[Mapping[str, Any]] = (),
) -> Record:
    """Record a run of `wall_s` seconds of a model's `task` on images, or with `moving` on videos and streams.

    `sources` are the readings of its videos, as the survey keeps them.
    """
    return Record(
        {
            "$schema": RUN,
            "order": provenance.order,
            "model": provenance.model,
            "settings": _settings(settings),
            "in-force": _in_force(settings, task, moving=moving),
            "provenance": provenance_part(provenance),
            "machine": {
                "architecture": platform.machine(),
                "system": platform.system(),
                "cores": os.cpu_count(),
                "cores-usable": _usable(),
            },
            "versions": {"python": platform.python_version(), **_versions()},
            "counts": dict(counts),
            "wall-seconds": round(wall_s, 3),
            "stages": [_stage(stage, wall_s) for stage in stages],
            "sources": [dict(source) for source in sources],
        }
    )


def _settings(settings: Settings) -> dict[str, Any]:
    """Give every setting by its parameter's name, as it was given or is by default."""
    values = {name.replace("_", "-"): value for name, value in settings.values().items()}
    return values | {"outputs": list(settings.pictures.outputs) or ["auto"]}


def _in_force(settings: Settings, task: str, *, moving: bool) -> dict[str, Any]:
    """Give what a run made of the settings whose values do not tell it; None for what was not in force."""
    most = settings.for_masks(whole=task == "segment").max_img_size or -1
    tracked = moving and task == "detect" and settings.tracking.tracker != "none"
    return {
        "max-img-size": most if most > 0 else None,
        "cpu-threads": threads(settings.engine.cpu_threads),
        "tile-overlap": settings.tiles.overlap if settings.tiles.tile_size else None,
        "tracker": settings.tracking.tracker if tracked else None,
    }


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
    """Count the cores that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _versions() -> dict[str, str]:
    """Give the versions of the libraries that are here, without importing one."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
