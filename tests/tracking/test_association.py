"""Overlap and assignment."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.tracking.association import assign, join, others, overlap


@pytest.mark.parametrize(
    ("box", "value"),
    [
        ((40, 40, 60, 60), 1.0),
        ((50, 40, 70, 60), 1 / 3),
        ((60, 40, 80, 60), 0.0),
        ((45, 45, 55, 55), 0.25),
        ((490, 40, 510, 60), 0.0),
    ],
)
def test_overlap_is_intersection_over_union(box, value):
    """Known pairs, and the same the other way round."""
    one, two = np.array([[40.0, 40, 60, 60]]), np.array([box], np.float64)
    assert overlap(one, two)[0, 0] == pytest.approx(value)
    assert overlap(two, one)[0, 0] == pytest.approx(value)


def best(worth: np.ndarray, allowed: np.ndarray) -> float:
    """Try every assignment and give the greatest sum."""
    counted = np.where(allowed, worth, 0)
    if counted.shape[0] > counted.shape[1]:
        counted = counted.T
    rows = range(counted.shape[0])
    return max(counted[list(rows), list(p)].sum() for p in permutations(range(counted.shape[1]), len(rows)))


@given(st.integers(0, 6), st.integers(0, 6), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_the_assignment_is_the_best(tracks, objects, density, seed):
    """No other choice of allowed pairs is worth more, and nothing is given twice or against the rules."""
    rng = np.random.default_rng(seed)
    worth, allowed = rng.uniform(0.01, 1, (tracks, objects)), rng.random((tracks, objects)) < density
    rows, columns = assign(worth, allowed)
    assert len(set(rows.tolist())) == len(rows) == len(set(columns.tolist()))
    assert allowed[rows, columns].all()
    assert worth[rows, columns].sum() == pytest.approx(best(worth, allowed) if tracks and objects else 0)


def test_pairs_are_joined_and_the_rest_is_left():
    """Two stages make one list; what neither took is left over."""
    first, second = (np.array([0, 2]), np.array([1, 0])), (np.array([1]), np.array([3]))
    rows, columns = join(first, second)
    assert (rows.tolist(), columns.tolist()) == ([0, 2, 1], [1, 0, 3])
    assert others(5, columns).tolist() == [2, 4]
