"""Read the `detect` entry of meta.json: the layout of a detector's outputs, and how to read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quadrat.errors import ManifestError
from quadrat.package.classes import is_int

LAYOUTS = (
    "yolov5", "yolov8", "yolov10", "yolox", "rtdetr", "rtdetr-ultralytics", "rfdetr", "paddledet", "boxes", "mmdet", "ssd",
    "nanodet", "nanodet-plus", "picodet", "yunet", "scrfd", "fastestdet", "centernet", "centerface",
)  # fmt: skip
"""Names of the layouts; quadrat.tasks.detect.layouts reads them."""
WITH_BACKGROUND = ("rtdetr", "rfdetr", "boxes", "mmdet", "ssd")
"""Layouts of networks that can have a class that means no object."""
CHOICES = {
    "activation": ("none", "sigmoid", "softmax"),
    "nms": ("per-class", "agnostic", "none"),
    "boxes": ("corners", "corners-yx", "centres"),
    "unit": ("pixels", "fractions"),
}
"""Keys of `detect` that have one of a few values."""
BELONGS = {
    "activation": (
        "ssd",
        "nanodet",
        "nanodet-plus",
        "picodet",
        "yunet",
        "scrfd",
        "fastestdet",
        "centernet",
        "centerface",
    ),
    "boxes": ("ssd", "rtdetr", "boxes", "mmdet"),
    "unit": ("ssd", "rtdetr", "boxes", "mmdet"),
}
"""Layouts that a key applies to; the others apply to all."""

_WHERE = "meta.json: detect"


@dataclass(frozen=True, slots=True)
class DetectWords:
    """What an archive states about its detector.

    `layout` is None if it is not stated; `background` is the index of the class that means no object, None if there
    is none, and is valid only if `stated`. `activation` makes scores of the network's raw numbers; `nms` is None if
    the layout's usual NMS applies; `boxes` and `unit` say how boxes are written, for layouts that differ in it.
    `threshold` is the least score of an object: one for all classes, or one per class; empty if it is not stated.
    """

    layout: str | None = None
    background: int | None = None
    stated: bool = False
    activation: str = "none"
    nms: str | None = None
    boxes: str = "corners"
    unit: str = "pixels"
    threshold: tuple[float, ...] = ()


def read_detect(meta: Mapping[str, Any]) -> DetectWords:
    """Read the `detect` entry of meta.json. All its keys are optional. Raises ManifestError."""
    words = meta.get("detect", {})
    if not isinstance(words, dict):
        raise ManifestError(
            "it does not hold names with values", where=_WHERE, hint='Write {"layout": "yolov8"}'
        )
    known = ("layout", "background", "threshold", *CHOICES)
    unknown = [key for key in words if key not in known]
    if unknown:
        raise ManifestError(
            f"{str(unknown[0])[:60]!r} is not one of its keys",
            where=_WHERE,
            hint=f"The keys are {', '.join(known[:-1])} and {known[-1]}",
        )
    layout = words.get("layout")
    if layout is not None and layout not in LAYOUTS:
        raise ManifestError(
            f"{str(layout)[:60]!r} is not a known layout",
            where=f"{_WHERE}.layout",
            hint="Known layouts are " + ", ".join(LAYOUTS),
        )
    chosen = {key: _choice(words, key, layout) for key in CHOICES if key in words}
    return DetectWords(
        layout, _background(words, layout), "background" in words, threshold=_threshold(words), **chosen
    )


def _background(words: Mapping[str, Any], layout: str | None) -> int | None:
    background = words.get("background")
    if background is not None and not (is_int(background) and background >= 0):
        raise ManifestError("it is neither null nor an integer of at least 0", where=f"{_WHERE}.background")
    if "background" in words and layout not in WITH_BACKGROUND:
        raise ManifestError(
            f"the layout {layout or 'is not stated, so it'} has no background class",
            where=f"{_WHERE}.background",
            hint=f"Only these layouts have one: {', '.join(WITH_BACKGROUND)}",
        )
    return None if background is None else int(background)


def _choice(words: Mapping[str, Any], key: str, layout: str | None) -> str:
    """Return the value of a key that has one of a few values, and applies to the layout."""
    if layout not in BELONGS.get(key, (layout,)):
        raise ManifestError(
            f"the layout {layout or 'is not stated, so it'} does not have it",
            where=f"{_WHERE}.{key}",
            hint=f"Only these layouts have it: {', '.join(BELONGS[key])}",
        )
    if words[key] not in CHOICES[key]:
        raise ManifestError(
            f"{str(words[key])[:60]!r} is not one of its values",
            where=f"{_WHERE}.{key}",
            hint=f"The values are {', '.join(CHOICES[key])}",
        )
    return str(words[key])


def _threshold(words: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the thresholds: one for all classes, or one per class; () if none is stated."""
    if "threshold" not in words:
        return ()
    given = words["threshold"] if isinstance(words["threshold"], list) else [words["threshold"]]
    if not given or not all(_is_share(value) for value in given):
        raise ManifestError(
            "it is neither a score in 0 to 1 nor a list of them, one per class", where=f"{_WHERE}.threshold"
        )
    return tuple(float(value) for value in given)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
