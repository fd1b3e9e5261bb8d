"""Which track goes on with which box: overlap, gates, and the best assignment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from quadrat.tracking.kalman import F64, Indices

Pairs = tuple[Indices, Indices]
"""Indices of tracks and of boxes, of equal length: the i-th track goes with the i-th box."""


def overlap(tracks: F64, boxes: F64) -> F64:
    """Give intersection over union (T, N) of boxes in centre form (T, 4) and (N, 4), whose sides are not zero."""
    shared = np.ones((len(tracks), len(boxes)))
    for axis in (0, 1):
        half_t, half_b = tracks[:, 2 + axis] / 2, boxes[:, 2 + axis] / 2
        low = np.maximum((tracks[:, axis] - half_t)[:, None], (boxes[:, axis] - half_b)[None, :])
        high = np.minimum((tracks[:, axis] + half_t)[:, None], (boxes[:, axis] + half_b)[None, :])
        shared *= np.maximum(high - low, 0)
    areas = (tracks[:, 2] * tracks[:, 3])[:, None] + (boxes[:, 2] * boxes[:, 3])[None, :]
    return shared / (areas - shared)


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
