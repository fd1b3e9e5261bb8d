"""Amodal boxes: the box of a whole object, even if a detector sees only a part of it.

A part is cut off by the border of the picture, by a rock, or by another object. The term is that of amodal
segmentation (Zhu et al., Semantic Amodal Segmentation, 2017); the rules are quadrat's own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quadrat.tracking.kalman import F64, sides

FULL_SIDE = 0.85
"""Share of the amodal side from which a visible side counts as complete."""
CUT_SIDE = 0.7
"""Share of the amodal side below which the last visible side of a lost object was certainly cut off."""
LEARNING_RATE = 0.05
"""Share by which an amodal side moves towards a complete visible side in each frame."""


def update_amodal(amodal: F64, boxes: F64) -> tuple[F64, NDArray[np.bool_]]:
    """Align predicted amodal boxes (N, 4) with visible boxes (N, 4), and tell which sides are cut off.

    On each axis the amodal box moves along with the visible edge that is nearer to its prediction: the other edge
    may be where the object is cut off. The amodal box then grows to cover the visible box. A side that is complete
    also adapts to the visible one.

    Returns the new amodal boxes (N, 4) in pixels and the mask (N, 2) of cut sides on the x and y axes.
    """
    edges, visible = amodal.reshape(-1, 2, 2), boxes.reshape(-1, 2, 2)  # (object, low or high edge, x or y)
    offset = visible - edges
    low_is_nearer = np.abs(offset[:, 0]) <= np.abs(offset[:, 1])
    edges = edges + np.where(low_is_nearer, offset[:, 0], offset[:, 1])[:, None]
    edges = np.stack([np.minimum(edges[:, 0], visible[:, 0]), np.maximum(edges[:, 1], visible[:, 1])], axis=1)
    cut = sides(boxes) < FULL_SIDE * (edges[:, 1] - edges[:, 0])
    edges = edges + np.where(cut, 0.0, LEARNING_RATE)[:, None] * (visible - edges)
    return edges.reshape(-1, 4), cut


def part_distance(amodal: F64, boxes: F64, deviations: F64) -> F64:
    """Return the squared distance (N,) of boxes (N, 4) from being parts of amodal boxes (N, 4), pair by pair.

    The unit is the standard deviation of each edge, `deviations` (N, 4) in pixels. Every edge outside the amodal box
    counts. Of the two edges inside it on an axis, only the one nearer to its amodal edge counts: the other one is
    where the object is cut off. A part that shares an edge with the amodal box on each axis is at distance 0.
    """
    offset = ((boxes - amodal) / deviations).reshape(-1, 2, 2)
    inward = np.stack([offset[:, 0], -offset[:, 1]], axis=1)
    outside = np.square(np.minimum(inward, 0)).sum(axis=(1, 2))
    distance: F64 = outside + np.square(np.maximum(inward, 0).min(axis=1)).sum(axis=1)
    return distance


def containment(amodal: F64, boxes: F64) -> F64:
    """Return the share (T, N), in 0..1, of the area of each of `boxes` (N, 4) inside each amodal box (T, 4)."""
    high = np.minimum(amodal[:, None, 2:], boxes[:, 2:])
    common = np.maximum(high - np.maximum(amodal[:, None, :2], boxes[:, :2]), 0)
    share: F64 = common.prod(axis=2) / sides(boxes).prod(axis=1)
    return share
