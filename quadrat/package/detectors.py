"""Read the `detect` entry of meta.json: the layout of a detector's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quadrat.errors import ManifestError
from quadrat.package.classes import is_int

LAYOUTS = ("yolov5", "yolov8", "yolov10", "rtdetr", "rtdetr-ultralytics", "rfdetr", "paddledet", "boxes")
"""Names of the layouts; quadrat.tasks.detect.layouts reads them."""
WITH_BACKGROUND = ("rtdetr", "rfdetr", "boxes")
"""Layouts of networks that can have a class that means no object."""

_WHERE = "meta.json: detect"


@dataclass(frozen=True, slots=True)
class DetectWords:
    """What an archive states about its detector.

    `layout` is None if it is not stated; `background` is the index of the class that means no object, None if there is
    none, and is valid only if `stated`.
    """

    layout: str | None = None
    background: int | None = None
    stated: bool = False


def read_detect(meta: Mapping[str, Any]) -> DetectWords:
    """Read the `detect` entry of meta.json. All its keys are optional. Raises ManifestError."""
    words = meta.get("detect", {})
    if not isinstance(words, dict):
        raise ManifestError(
            "it does not hold names with values", where=_WHERE, hint='Write {"layout": "yolov8"}'
        )
    unknown = [key for key in words if key not in ("layout", "background")]
    if unknown:
        raise ManifestError(
            f"{str(unknown[0])[:60]!r} is not one of its keys",
            where=_WHERE,
            hint="The keys are layout and background",
        )
    layout = words.get("layout")
    if layout is not None and layout not in LAYOUTS:
        raise ManifestError(
            f"{str(layout)[:60]!r} is not a known layout",
            where=f"{_WHERE}.layout",
            hint="Known layouts are " + ", ".join(LAYOUTS),
        )
    background = words.get("background")
    if background is not None and not (is_int(background) and background >= 0):
        raise ManifestError("it is neither null nor an integer of at least 0", where=f"{_WHERE}.background")
    if "background" in words and layout not in WITH_BACKGROUND:
        raise ManifestError(
            f"the layout {layout or 'is not stated, so it'} has no background class",
            where=f"{_WHERE}.background",
            hint=f"Only these layouts have one: {', '.join(WITH_BACKGROUND)}",
        )
    return DetectWords(layout, background, "background" in words)
