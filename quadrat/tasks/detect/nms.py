"""Greedy non-maximum suppression, class by class and exact.

Classes are kept apart by going through them one by one, never by shifting their boxes: a shift of
thousands of pixels leaves float16 no fraction of a pixel, and float32 few.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHUNK = 256
"""Boxes compared with one another at once: the tables stay in the processor's cache."""


def nms(
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    classes: NDArray[np.integer],
    threshold: float,
    limit: int,
) -> NDArray[np.intp]:
    """Give the indices of the boxes that stay, best first, at most `limit`.

    `boxes` (N, 4) x0, y0, x1, y1 in any one frame, `scores` and `classes` (N,). From the best score
    down, a box stays unless one that stays already, of the same class, overlaps it by an IoU of
    `threshold` or more; boxes that do not overlap stay at any threshold. Of equal scores the lower
    index comes first. Computed in float64.
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
    """Indices of the boxes of one class that stay, of boxes that come best first."""
    kept = np.zeros(0, np.intp)
    for start in range(0, len(boxes), CHUNK):
        left = np.arange(start, min(start + CHUNK, len(boxes)))
        for first in range(0, len(kept), CHUNK):
            rivals = kept[first : first + CHUNK]
            left = left[~overlapping(boxes[left], boxes[rivals], threshold).any(axis=1)]
        table = overlapping(boxes[left], boxes[left], threshold)
        stays = np.ones(len(left), bool)
        for index in range(len(left)):
            if stays[index]:
                stays[index + 1 :] &= ~table[index, index + 1 :]
        kept = np.concatenate([kept, left[stays]])
        if len(kept) >= limit:
            return kept[:limit]
    return kept


def overlapping(
    some: NDArray[np.float64], others: NDArray[np.float64], threshold: float
) -> NDArray[np.bool_]:
    """Tell which boxes (A, 4) overlap which others (B, 4) by an IoU of `threshold` or more, as (A, B).

    Asked as shared >= threshold * union, so that nothing is divided; boxes that share nothing never do.
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
