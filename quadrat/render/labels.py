"""Place the labels of boxes so that they hide as little as possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW

CROWD = 12
"""Up to this many objects, every one gets a label."""
MANY = 100
"""From this many rectangles on, those that are far away are sorted out first."""
MOST_HIDDEN = 0.5
"""In a crowd, a label that would hide more of objects than this share of its own area is left out."""

Place = tuple[int, int]
_Rects = NDArray[np.float64]


def place_labels(boxes: Sequence[Sequence[int]], sizes: Sequence[HW], hw: HW) -> list[Place | None]:
    """Return (top, left) of each label, or None for one that is left out.

    `boxes` are x0, y0, x1, y1 in pixels, the most important last; `sizes` are the (height, width) of their labels,
    which fit into the picture of `hw`. A label stands at an edge of its box: above or below it, beside it, or inside
    if that hides less. It never hides the label of a more important box, unless there are at most CROWD objects.
    """
    rects = np.array(boxes, np.float64).reshape(-1, 4)
    places: list[Place | None] = [None] * len(boxes)
    taken, count = np.zeros((len(boxes), 4)), 0
    few = len(boxes) <= CROWD
    for index in range(len(boxes) - 1, -1, -1):
        rows, columns = sizes[index]
        options = _options(rects[index], rows, columns, hw)
        hidden = _overlap(options, _near(rects, options)) / (rows * columns)
        covered = _overlap(options, _near(taken[:count], options)) / (rows * columns)
        best = int(np.argmin(hidden + 1000 * covered))
        if not few and (covered[best] > 0 or hidden[best] > MOST_HIDDEN):
            continue
        places[index] = (int(options[best, 1]), int(options[best, 0]))
        taken[count] = options[best]
        count += 1
    return places


def _options(box: NDArray[np.float64], rows: int, columns: int, hw: HW) -> _Rects:
    """Return the places of a label as (8, 4) rectangles inside the picture, the usual ones first."""
    x0, y0, x1, y1 = box
    corners = np.array(
        [
            (x0, y0 - rows),
            (x1 - columns, y0 - rows),
            (x0, y1),
            (x1 - columns, y1),
            (x1, y0),
            (x0 - columns, y0),
            (x0, y0),
            (x0, y1 - rows),
        ]
    )
    limits = np.array([hw[1] - columns, hw[0] - rows])
    corners = np.clip(corners, 0, np.maximum(limits, 0))
    return np.concatenate([corners, corners + np.array([columns, rows])], axis=1)


def _near(rects: _Rects, options: _Rects) -> _Rects:
    """Return the rectangles that reach into the area of the options: few of them, in a crowd."""
    if len(rects) < MANY:
        return rects
    low, high = options[:, :2].min(axis=0), options[:, 2:].max(axis=0)
    reaches = (rects[:, 2:] > low).all(axis=1) & (rects[:, :2] < high).all(axis=1)
    near: _Rects = rects[reaches]
    return near


def _overlap(options: _Rects, rects: _Rects) -> NDArray[np.float64]:
    """Return, for each of the options, the area that it shares with all rectangles together."""
    low = np.maximum(options[:, None, :2], rects[None, :, :2])
    high = np.minimum(options[:, None, 2:], rects[None, :, 2:])
    sides = np.maximum(high - low, 0.0)
    return cast(NDArray[np.float64], (sides[..., 0] * sides[..., 1]).sum(axis=1))
