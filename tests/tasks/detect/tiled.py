"""A detector that truncates objects at its tile's border and is otherwise exact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quadrat.predictions import Detections
from quadrat.tasks.detect.merge import TileDetections
from quadrat.transforms.tiles import plan

LEAST = 4
"""Fragments with a shorter side, in pixels, are not detected."""


def found(boxes, classes=None, scores=None) -> Detections:
    """Make detections of plain lists; by default of class 0 and score 0.9."""
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    scores = np.full(len(boxes), 0.9) if scores is None else scores
    classes = np.zeros(len(boxes)) if classes is None else classes
    return Detections(boxes, np.array(scores, np.float32), np.array(classes, np.int32))


def look(truth, hw, tile: int, overlap: int, *, classes=None, scores=None) -> list[TileDetections]:
    """Return what each tile shows of each object, in source pixels."""
    every = found(truth, classes, scores)
    result = []
    for w in plan(hw, tile, overlap):
        window = (w.left, w.top, w.right, w.bottom)
        boxes = np.concatenate(
            [np.maximum(every.boxes[:, :2], window[:2]), np.minimum(every.boxes[:, 2:], window[2:])], axis=1
        )
        seen = ((boxes[:, 2:] - boxes[:, :2]) >= LEAST).all(axis=1)
        here = Detections(boxes[seen], every.scores[seen], every.classes[seen])
        result.append(TileDetections(here, tuple(map(float, window))))
    return result


def whole(boxes, classes=None, scores=None) -> TileDetections:
    """Return objects found in the whole frame."""
    return TileDetections(found(boxes, classes, scores), None)


def rows(detections: Detections) -> list[tuple[float, ...]]:
    """Return the boxes with their classes, in order."""
    table = np.column_stack([detections.boxes, detections.classes])
    return sorted(map(tuple, table.tolist()))


def truth_rows(truth, classes: Sequence[int] | None = None) -> list[tuple[float, ...]]:
    """Return the boxes of the truth with their classes, in order."""
    return rows(found(truth, classes))


def apart(seed: int, hw, low: int, high: int, *, count: int, gap: int = 2) -> list[tuple[int, int, int, int]]:
    """Draw boxes of sides `low` to `high` that lie `gap` pixels apart."""
    rng = np.random.default_rng(seed)
    taken, boxes = np.zeros(hw, bool), []
    for _ in range(3 * count):
        width, height = (int(v) for v in rng.integers(low, high + 1, 2))
        x, y = int(rng.integers(0, hw[1] - width + 1)), int(rng.integers(0, hw[0] - height + 1))
        around = taken[max(y - gap, 0) : y + height + gap, max(x - gap, 0) : x + width + gap]
        if not around.any():
            taken[y : y + height, x : x + width] = True
            boxes.append((x, y, x + width, y + height))
    return boxes[:count]
