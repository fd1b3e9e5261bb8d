"""meta.json's `detect` -> how a detector's outputs are laid out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quadrat.errors import ManifestError
from quadrat.package.classes import is_int

LAYOUTS = ("yolov5", "yolov8", "yolov10", "rtdetr", "rtdetr-ultralytics", "rfdetr", "paddledet", "boxes")
"""Names of the layouts; quadrat.tasks.detect.layouts reads them."""
WITH_BACKGROUND = ("rtdetr", "rfdetr", "boxes")
"""Layouts of networks that may have a class that means no object."""

_WHERE = "meta.json: detect"


@dataclass(frozen=True, slots=True)
class DetectWords:
    """What an archive says of its detector.

    `layout` is None where it says nothing; `background` is the network's class that means no object,
    None where there is none, and counts only where it is `stated`.
    """

    layout: str | None = None
    background: int | None = None
    stated: bool = False


def read_detect(meta: Mapping[str, Any]) -> DetectWords:
    """Read `detect` of meta.json, all of it optional. Raises ManifestError."""
    words = meta.get("detect", {})
    if not isinstance(words, dict):
        raise ManifestError(
            "it does not hold names with values", where=_WHERE, hint='Write {"layout": "yolov8"}'
        )
    unknown = [key for key in words if key not in ("layout", "background")]
    if unknown:
        raise ManifestError(
            f"{str(unknown[0])[:60]!r} is no word of it", where=_WHERE, hint="Known are layout, background"
        )
    layout = words.get("layout")
    if layout is not None and layout not in LAYOUTS:
        raise ManifestError(
            f"{str(layout)[:60]!r} is no layout we know",
            where=f"{_WHERE}.layout",
            hint="Known are " + ", ".join(LAYOUTS),
        )
    background = words.get("background")
    if background is not None and not (is_int(background) and background >= 0):
        raise ManifestError("it is neither null nor a number from 0", where=f"{_WHERE}.background")
    if "background" in words and layout not in WITH_BACKGROUND:
        raise ManifestError(
            f"the layout {layout or 'is not stated, and it'} has no class for the background",
            where=f"{_WHERE}.background",
            hint=f"It goes with {', '.join(WITH_BACKGROUND)}",
        )
    return DetectWords(layout, background, "background" in words)
