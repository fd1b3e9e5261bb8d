"""Log lines of the benchmark setting: machine, model, settings and the time of every stage."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

from quadrat.types import Provenance


def timing_lines(
    settings: Mapping[str, Any],
    provenance: Provenance,
    name: str,
    *,
    seconds: Mapping[str, float],
    wall: float,
    images: int,
    unit: str = "image",
) -> list[str]:
    """Format the benchmark's lines.

    `settings` are the values by field, `seconds` the busy seconds by stage, and `wall` those of the whole run.
    `images` is the number of images measured, or of what `unit` names.
    """
    per_image = ", ".join(f"{stage} {1000 * spent / max(images, 1):.1f}" for stage, spent in seconds.items())
    shares = ", ".join(f"{stage} {100 * spent / max(wall, 1e-9):.0f} %" for stage, spent in seconds.items())
    return [
        f"benchmark machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        f"benchmark model: {settings['model_name'] or name}, {provenance.model_digest[:12]}",
        f"benchmark engine: {provenance.engine} {provenance.engine_version}, {provenance.device}, {provenance.precision}",
        "benchmark settings: " + ", ".join(f"{k}={v}" for k, v in settings.items()),
        f"benchmark {unit}s: {images} in {wall:.2f} s, {images / max(wall, 1e-9):.2f} per second",
        f"benchmark ms per {unit}: {per_image}",
        f"benchmark occupancy: {shares}",
    ]
