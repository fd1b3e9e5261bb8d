"""Overlap and assignment."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.tracking.association import assign, concatenate, enlarge, iou, unmatched


@pytest.mark.parametrize(
    ("box", "value"),
    [
        ((40, 40, 60, 60), 1.0),
        ((50, 40, 70, 60), 1 / 3),
        ((60, 40, 80, 60), 0.0),
        ((45, 45, 55, 55), 0.25),
        ((490, 40, 510, 60), 0.0),
        ((50, 70, 70, 90), 0.0),
    ],
)
def test_iou_is_intersection_over_union(box, value):
    """Known pairs, and the same with tracks and boxes exchanged."""
    one, two = np.array([[40.0, 40, 60, 60]]), np.array([box], np.float64)
    assert iou(one, two)[0, 0] == pytest.approx(value)
    assert iou(two, one)[0, 0] == pytest.approx(value)


@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 2**32 - 1))
def test_iou_is_that_of_every_pair(tracks, objects, seed):
    """Whatever the widths and positions, no pair that overlaps is left out."""
    rng = np.random.default_rng(seed)
    one, two = (
        np.concatenate([low, low + rng.uniform(1, 120, (count, 2))], axis=1)
        for count, low in ((n, rng.uniform(0, 300, (n, 2))) for n in (tracks, objects))
    )
    expected = np.zeros((tracks, objects))
    for i, a in enumerate(one):
        for j, b in enumerate(two):
            width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            common = max(width, 0) * max(height, 0)
            areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
            expected[i, j] = common / (areas - common)
    assert iou(one, two) == pytest.approx(expected)


def best(similarity: np.ndarray, allowed: np.ndarray) -> float:
    """Try every assignment and return the greatest sum."""
    counted = np.where(allowed, similarity, 0)
    if counted.shape[0] > counted.shape[1]:
        counted = counted.T
    rows = range(counted.shape[0])
    return max(counted[list(rows), list(p)].sum() for p in permutations(range(counted.shape[1]), len(rows)))


@given(st.integers(0, 6), st.integers(0, 6), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_the_assignment_is_the_best(tracks, objects, density, seed):
    """No other choice of allowed pairs has a greater sum; no track, box or forbidden pair is used twice or at all."""
    rng = np.random.default_rng(seed)
    similarity, allowed = rng.uniform(0.01, 1, (tracks, objects)), rng.random((tracks, objects)) < density
    rows, columns = assign(similarity, allowed)
    assert len(set(rows.tolist())) == len(rows) == len(set(columns.tolist()))
    assert allowed[rows, columns].all()
    expected = best(similarity, allowed) if tracks and objects else 0
    assert similarity[rows, columns].sum() == pytest.approx(expected)


def test_pairs_are_concatenated_and_the_rest_is_unmatched():
    """Two stages make one list; what neither took is unmatched."""
    first, second = (np.array([0, 2]), np.array([1, 0])), (np.array([1]), np.array([3]))
    rows, columns = concatenate(first, second)
    assert (rows.tolist(), columns.tolist()) == ([0, 2, 1], [1, 0, 3])
    assert unmatched(5, columns).tolist() == [2, 4]
    assert unmatched(2, np.zeros(0, int)).tolist() == [0, 1]


def test_boxes_are_enlarged_on_every_side():
    """By this share of the side in each direction."""
    assert enlarge(np.array([[100.0, 50, 200, 70]]), 0.4) == pytest.approx(np.array([[60, 42, 240, 78]]))
