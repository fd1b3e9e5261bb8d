"""Association of tracks with detections: overlap and the best assignment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from quadrat.tracking.kalman import F64, Indices, sides

Pairs = tuple[Indices, Indices]
"""Indices of tracks and of boxes, both (M,): the i-th track goes with the i-th box."""


def enlarge(boxes: F64, reach: float) -> F64:
    """Return boxes (N, 4) enlarged by `reach` of their side on each side (after Yang et al., Buffered IoU, 2023)."""
    margin = reach * sides(boxes)
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


def iou(tracks: F64, boxes: F64) -> F64:
    """Return the intersection over union (T, N), in 0..1, of boxes (T, 4) and (N, 4) with sides above zero.

    Only pairs that overlap on the x axis are computed: among hundreds of objects, few are close to any one.
    """
    result = np.zeros((len(tracks), len(boxes)))
    rows, columns = _pairs_overlapping_in_x(tracks, boxes)
    one, two = tracks[rows], boxes[columns]
    common = np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(one[:, :2], two[:, :2])
    intersection = np.maximum(common, 0).prod(axis=1)
    union = sides(one).prod(axis=1) + sides(two).prod(axis=1) - intersection
    result[rows, columns] = intersection / union
    return result


def _pairs_overlapping_in_x(tracks: F64, boxes: F64) -> Pairs:
    """Return at least all pairs that overlap on the x axis: for each track, one range of the boxes sorted by x0."""
    left, widest = boxes[:, 0], sides(boxes)[:, 0].max(initial=0)
    order = np.argsort(left, kind="stable")
    first = np.searchsorted(left[order], tracks[:, 0] - widest)
    counts = np.searchsorted(left[order], tracks[:, 2], side="right") - first
    before = np.cumsum(counts) - counts
    places = np.arange(counts.sum()) - np.repeat(before - first, counts)
    return np.repeat(np.arange(len(tracks)), counts), order[places]


def assign(similarity: F64, allowed: NDArray[np.bool_]) -> Pairs:
    """Return the allowed pairs with the greatest sum of `similarity`, each track and box at most once.

    `similarity` (T, N) is above zero where `allowed` (T, N). A track and a box that are allowed only with each other
    need no search; the rest is one linear assignment problem (scipy.optimize.linear_sum_assignment).
    """
    rows, columns = np.nonzero(allowed)
    by_row = np.bincount(rows, minlength=allowed.shape[0])
    by_column = np.bincount(columns, minlength=allowed.shape[1])
    unambiguous = (by_row[rows] == 1) & (by_column[columns] == 1)
    sure: Pairs = (rows[unambiguous], columns[unambiguous])
    if unambiguous.all():
        return sure
    rest_rows, rest_columns = np.unique(rows[~unambiguous]), np.unique(columns[~unambiguous])
    block = np.ix_(rest_rows, rest_columns)
    best_rows, best_columns = linear_sum_assignment(
        np.where(allowed[block], similarity[block], 0.0), maximize=True
    )
    best_rows, best_columns = rest_rows[best_rows], rest_columns[best_columns]
    kept = allowed[best_rows, best_columns]
    return concatenate(sure, (best_rows[kept], best_columns[kept]))


def concatenate(first: Pairs, second: Pairs) -> Pairs:
    """Return the pairs of two stages of association, those of the first stage first."""
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def unmatched(count: int, matched: Indices) -> Indices:
    """Return the indices below `count` that are not in `matched`, in ascending order."""
    free = np.ones(count, bool)
    free[matched] = False
    return np.flatnonzero(free)
