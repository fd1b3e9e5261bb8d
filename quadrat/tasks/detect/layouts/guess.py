"""Infers the layout of a detector's outputs if the archive does not state it, and refuses to choose between two."""

from __future__ import annotations

from collections.abc import Sequence

from quadrat.errors import LayoutError
from quadrat.tasks.detect.layouts.base import shape_text
from quadrat.types import OutputSpec

QUERIES = 1000
"""Networks that end in objects give at most this many rows; networks that end in anchors give more."""

_STATE = 'State it in meta.json, as "detect": {"layout": NAME}'


def guess(outputs: Sequence[OutputSpec], num_classes: int | None) -> tuple[str, str]:
    """Return the only layout that these outputs can have, and the reason as text.

    Decides by the names of the outputs, else by their shapes and the number of classes. Raises LayoutError if no
    layout fits, or more than one.
    """
    listed = ", ".join(f"{one.name} {shape_text(one.shape)}" for one in outputs) or "nothing"
    found = _by_names(outputs) or _by_shape(outputs, num_classes)
    classes = "an unknown number of classes" if num_classes is None else f"{num_classes} classes"
    if not found:
        raise LayoutError(
            f"the network gives {listed}, which is no known layout for {classes}",
            where="meta.json: detect.layout", hint=_STATE,
        )  # fmt: skip
    if len(found) > 1:
        raise LayoutError(
            f"the network gives {listed}, which for {classes} may be {' or '.join(found)}",
            where="meta.json: detect.layout", hint=_STATE,
        )  # fmt: skip
    ((name, reason),) = found.items()
    return name, f"the network gives {listed}: {reason}"


def _by_names(outputs: Sequence[OutputSpec]) -> dict[str, str]:
    """Return the layout whose usual output names these are, with the reason; empty if there is none."""
    axes = {one.name: len(one.shape) for one in outputs}
    if axes.get("dets") == axes.get("labels") == 3:
        return {"rfdetr": "dets and labels, both with three axes"}
    if {"boxes", "scores", "labels"} <= set(axes):
        if axes["boxes"] == 3:
            return {"rtdetr": "boxes, scores and labels for each input of a batch"}
        return {"boxes": "boxes, scores and labels of one input"}
    rows = [one for one in outputs if len(one.shape) == 2 and one.shape[1] == 6]
    counts = [one for one in outputs if len(one.shape) == 1 and one.dtype.startswith("int")]
    if len(rows) == 1 and len(counts) == len(outputs) - 1 == 1:
        return {"paddledet": "rows of class, score and box, and their number"}
    return {}


def _by_shape(outputs: Sequence[OutputSpec], classes: int | None) -> dict[str, str]:
    """Return the layouts that the only float output with three axes can have."""
    flat = [one for one in outputs if len(one.shape) == 3 and one.dtype.startswith("float")]
    if len(flat) != 1:
        return {}
    _, rows, columns = flat[0].shape
    few = rows is None or rows <= QUERIES
    many = rows is None or rows > QUERIES
    found = {}
    if columns is not None:
        if few and columns == 6:
            found["yolov10"] = "few rows of box, score and class"
        if many and _holds(columns, 5, classes):
            found["yolov5"] = "rows of box, objectness and a score for each class"
        if few and _holds(columns, 4, classes) and (classes is not None or columns < QUERIES):
            found["rtdetr-ultralytics"] = "few rows of box and a score for each class"
    wide = columns is None or (rows is not None and columns > rows)
    if rows is not None and wide and _holds(rows, 4, classes):
        found["yolov8"] = "columns of box and a score for each class"
    return found


def _holds(size: int, before: int, classes: int | None) -> bool:
    """Return True if an axis can hold `before` numbers and one per class."""
    return size > before if classes is None else size == before + classes
