"""Which track goes on with which box: overlap, gates, and the best assignment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from quadrat.tracking.kalman import F64, Indices, sides

Pairs = tuple[Indices, Indices]
"""Indices of tracks and of boxes, of equal length: the i-th track goes with the i-th box."""


def overlap(tracks: F64, boxes: F64) -> F64:
    """Give intersection over union (T, N) of boxes (T, 4) and (N, 4), whose sides are not zero.

    It is computed only for pairs that are near in x: of hundreds of objects few are near any one.
    """
    worth = np.zeros((len(tracks), len(boxes)))
    rows, columns = _beside(tracks, boxes)
    one, two = tracks[rows], boxes[columns]
    common = np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(one[:, :2], two[:, :2])
    shared = np.maximum(common, 0).prod(axis=1)
    worth[rows, columns] = shared / (sides(one).prod(axis=1) + sides(two).prod(axis=1) - shared)
    return worth


def _beside(tracks: F64, boxes: F64) -> Pairs:
    """Give all pairs that may share a column of pixels: boxes in order of their left side, a stretch for each track."""
    left, widest = boxes[:, 0], sides(boxes)[:, 0].max(initial=0)
    order = np.argsort(left, kind="stable")
    first = np.searchsorted(left[order], tracks[:, 0] - widest)
    counts = np.searchsorted(left[order], tracks[:, 2], side="right") - first
    skipped = np.cumsum(counts) - counts
    places = np.arange(counts.sum()) - np.repeat(skipped - first, counts)
    return np.repeat(np.arange(len(tracks)), counts), order[places]


def assign(worth: F64, allowed: NDArray[np.bool_]) -> Pairs:
    """Choose the pairs whose `worth` (T, N), greater than zero, has the greatest sum; none that is not allowed.

    A track and a box that have only each other need no search. The rest is one assignment problem
    (scipy.optimize.linear_sum_assignment).
    """
    rows, columns = np.nonzero(allowed)
    by_row = np.bincount(rows, minlength=allowed.shape[0])
    by_column = np.bincount(columns, minlength=allowed.shape[1])
    alone = (by_row[rows] == 1) & (by_column[columns] == 1)
    sure, chosen = rows[alone], columns[alone]
    if alone.all():
        return sure, chosen
    rest_rows, rest_columns = np.unique(rows[~alone]), np.unique(columns[~alone])
    part = np.ix_(rest_rows, rest_columns)
    found_rows, found_columns = linear_sum_assignment(
        np.where(allowed[part], worth[part], 0.0), maximize=True
    )
    found_rows, found_columns = rest_rows[found_rows], rest_columns[found_columns]
    good = allowed[found_rows, found_columns]
    return np.concatenate([sure, found_rows[good]]), np.concatenate([chosen, found_columns[good]])


def join(first: Pairs, second: Pairs) -> Pairs:
    """Put the pairs of a second stage behind those of a first."""
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def others(count: int, taken: Indices) -> Indices:
    """Give the indices below `count` that are not taken."""
    free = np.ones(count, bool)
    free[taken] = False
    return np.flatnonzero(free)
