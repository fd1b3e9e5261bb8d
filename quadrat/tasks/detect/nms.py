"""Greedy non-maximum suppression (NMS), per class and exact.

Classes are separated by processing them one by one. The usual trick, shifting the boxes of each class by thousands of
pixels, leaves float16 without fractions of a pixel, and float32 with few.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK = 256
"""Boxes that are compared at a time, so that the tables of pairs stay in the processor's cache."""


def nms(
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    classes: NDArray[np.integer],
    threshold: float,
    limit: int,
) -> NDArray[np.intp]:
    """Return the indices (M,) of the boxes that are kept, the best first, at most `limit`.

    `boxes` (N, 4) are x0, y0, x1, y1 in any one coordinate frame; `scores` and `classes` are (N,). From the best
    score down, a box is kept unless its IoU with a box of its class that is already kept is at least `threshold`;
    boxes without overlap are kept at any threshold. Of equal scores, the lower index comes first. Computes in
    float64.
    """
    wide = boxes.astype(np.float64)
    order = np.lexsort((np.arange(len(scores)), -scores.astype(np.float64), classes))
    ends = np.flatnonzero(np.diff(classes[order])) + 1
    kept = [one[_greedy(wide[one], threshold, limit)] for one in np.split(order, ends) if len(one)]
    if not kept:
        return np.zeros(0, np.intp)
    index = np.concatenate(kept)
    return index[np.lexsort((index, -scores[index].astype(np.float64)))][:limit]


def _greedy(boxes: NDArray[np.float64], threshold: float, limit: int) -> NDArray[np.intp]:
    """Return the indices of the boxes that are kept; `boxes` are of one class, the best first."""
    kept = np.zeros(0, np.intp)
    for start in range(0, len(boxes), CHUNK):
        left = np.arange(start, min(start + CHUNK, len(boxes)))
        for first in range(0, len(kept), CHUNK):
            rivals = kept[first : first + CHUNK]
            left = left[~overlapping(boxes[left], boxes[rivals], threshold).any(axis=1)]
        table = overlapping(boxes[left], boxes[left], threshold)
        keep = np.ones(len(left), bool)
        for index in range(len(left)):
            if keep[index]:
                keep[index + 1 :] &= ~table[index, index + 1 :]
        kept = np.concatenate([kept, left[keep]])
        if len(kept) >= limit:
            return kept[:limit]
    return kept


def overlapping(
    some: NDArray[np.float64], others: NDArray[np.float64], threshold: float
) -> NDArray[np.bool_]:
    """Return True (A, B) where the IoU of boxes (A, 4) and others (B, 4) is at least `threshold` and over 0.

    Compares intersection >= threshold * union, so that nothing is divided.
    """
    width = np.minimum(some[:, None, 2], others[:, 2]) - np.maximum(some[:, None, 0], others[:, 0])
    height = np.minimum(some[:, None, 3], others[:, 3]) - np.maximum(some[:, None, 1], others[:, 1])
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    union = _areas(some)[:, None] + _areas(others) - shared
    found: NDArray[np.bool_] = (shared >= threshold * union) & (shared > 0)
    return found


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    areas: NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return areas
