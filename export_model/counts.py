"""Count the classes of a detector by the shapes of its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quadrat.tasks.detect.layouts.distributions import BINS
from quadrat.tasks.detect.layouts.levels import BOX

CLASSES = {
    "yolov5": ("predictions", 2, 5), "yolox": ("predictions", 2, 5), "yolov8": ("predictions", 1, 4),
    "rtdetr-ultralytics": ("predictions", 2, 4), "rfdetr": ("logits", 2, 0), "fastestdet": ("predictions", 1, 5),
    "centernet": ("heat", 1, 0), "centerface": ("heat", 1, 0), "nanodet": ("scores-8", -1, 0),
    "picodet": ("scores-8", -1, 0), "scrfd": ("scores-8", -1, 0), "yunet": ("classes-8", -1, 0),
}  # fmt: skip
"""Output whose shape tells the number of classes, its axis, and the numbers on it that are not classes."""
DISTRIBUTIONS = dict.fromkeys(("nanodet", "nanodet-plus"), ("predictions", 2, BOX * BINS))
"""The same for scores and distributions in one output, with the usual number of bins."""


def count_classes(detect: Mapping[str, Any], shapes: Mapping[str, Sequence[int]]) -> int | None:
    """Return the number of classes, or None if the layout does not determine it.

    `detect` is that of meta.json, `shapes` the shape of each output by its role. A class that is stated to mean no
    object is not counted.
    """
    name = str(detect["layout"])
    if name == "ssd":  # either axis may be that of the anchors
        _, first, second = shapes["scores"]
        columns = second if first == shapes["boxes"][1] else first
    else:
        role, axis, others = CLASSES.get(name, ("", 0, 0))
        if "predictions" in shapes and name in DISTRIBUTIONS:
            role, axis, others = DISTRIBUTIONS[name]
        if role not in shapes:
            return None
        columns = shapes[role][axis] - others
    return int(columns) - (detect.get("background") is not None)
