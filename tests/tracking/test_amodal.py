"""Amodal boxes: known pairs, and laws of parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.tracking.amodal import FULL_SIDE, LEARNING_RATE, containment, part_distance, update_amodal

SEEDS = st.integers(0, 2**32 - 1)
WHOLE = np.array([[100.0, 100, 200, 200]])


def random_boxes(rng: np.random.Generator, count: int = 8) -> np.ndarray:
    """Make boxes (count, 4)."""
    low = rng.uniform(0, 500, (count, 2))
    return np.concatenate([low, low + rng.uniform(20, 200, (count, 2))], axis=1)


def cut_off(amodal: np.ndarray, shares: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Cut shares (N, 2) off boxes (N, 4) on each axis: at the low edge where `low` (N, 2), else at the high one."""
    parts = amodal.copy()
    for axis in (0, 1):
        side = amodal[:, axis + 2] - amodal[:, axis]
        parts[:, axis] += np.where(low[:, axis], shares[:, axis] * side, 0)
        parts[:, axis + 2] -= np.where(low[:, axis], 0, shares[:, axis] * side)
    return parts


@given(SEEDS)
def test_a_part_is_at_distance_0(seed):
    """Whatever is cut off at one edge per axis: the box is a part, is contained, and the amodal box stays."""
    rng = np.random.default_rng(seed)
    amodal = random_boxes(rng)
    parts = cut_off(amodal, rng.uniform(0.2, 0.9, (8, 2)), rng.random((8, 2)) < 0.5)
    assert part_distance(amodal, parts, np.ones((8, 4))) == pytest.approx(0)
    assert np.diagonal(containment(amodal, parts)) == pytest.approx(1)
    kept, cut = update_amodal(amodal, parts)
    assert kept == pytest.approx(amodal)
    assert cut.all()


@given(SEEDS, st.integers(0, 3))
def test_an_edge_outside_is_a_distance(seed, edge):
    """A box that reaches out on one side is that far off, in deviations, and the amodal box grows to cover it."""
    over = np.random.default_rng(seed).uniform(1, 15)
    box = WHOLE + np.eye(4)[[edge]] * over * (-1 if edge < 2 else 1)
    assert part_distance(WHOLE, box, np.full((1, 4), 2.0)) == pytest.approx([(over / 2) ** 2])
    kept, cut = update_amodal(WHOLE, box)
    assert kept == pytest.approx(box)
    assert not cut.any()


@pytest.mark.parametrize(
    ("box", "distance"),
    [
        ((110, 100, 190, 200), 10**2 / 4),
        ((110, 100, 170, 200), 10**2 / 4),
        ((130, 100, 180, 200), 20**2 / 4),
        ((110, 120, 190, 170), (10**2 + 20**2) / 4),
        ((90, 90, 120, 210), 3 * 10**2 / 4),
        ((90, 100, 210, 200), 2 * 10**2 / 4),
    ],
)
def test_inside_the_nearer_edge_counts(box, distance):
    """Of two edges inside on an axis, the one nearer to its amodal edge counts; outside, every edge does."""
    assert part_distance(WHOLE, np.array([box], np.float64), np.full((1, 4), 2.0)) == pytest.approx(
        [distance]
    )


def test_each_edge_has_its_deviation():
    """The distance is in standard deviations, edge by edge."""
    deviations = np.array([[1.0, 2, 4, 5]])
    assert part_distance(WHOLE, WHOLE + np.array([-8, -8, 8, 8]), deviations) == pytest.approx(
        [64 + 16 + 4 + 8**2 / 25]
    )


@given(SEEDS)
def test_the_amodal_box_follows_the_nearer_edge(seed):
    """An object that moved and is cut off at one edge per axis keeps its sides."""
    rng = np.random.default_rng(seed)
    amodal, motion = random_boxes(rng), np.tile(rng.uniform(-1, 1, (8, 2)), 2)
    parts = cut_off(amodal + motion, rng.uniform(0.2, 0.9, (8, 2)), rng.random((8, 2)) < 0.5)
    kept, cut = update_amodal(amodal, parts)
    assert kept == pytest.approx(amodal + motion)
    assert cut.all()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("share", "complete"), [(FULL_SIDE + 0.01, True), (FULL_SIDE - 0.01, False)])
def test_the_amodal_box_adapts_to_a_complete_side(axis, share, complete):
    """A side that is nearly as long as the amodal one is complete, and the amodal one moves towards it."""
    box = WHOLE.copy()
    box[0, 2 + axis] = box[0, axis] + 100 * share
    kept, cut = update_amodal(WHOLE, box)
    assert cut.tolist() == [[axis == 0 and not complete, axis == 1 and not complete]]
    expected = WHOLE + LEARNING_RATE * (box - WHOLE) * complete
    assert kept == pytest.approx(expected)


def test_containment_is_the_share_of_the_boxes_area():
    """Every pair of amodal boxes (T) and boxes (N): inside, half, a quarter, outside on each axis."""
    boxes = np.array(
        [
            [120, 120, 140, 180],
            [150, 100, 250, 200],
            [150, 150, 250, 250],
            [200, 100, 300, 200],
            [100, 0, 200, 100],
        ],
        np.float64,
    )
    found = containment(np.concatenate([WHOLE, [[0.0, 0, 400, 400]]]), boxes)
    assert found == pytest.approx(np.array([[1, 0.5, 0.25, 0, 0], [1, 1, 1, 1, 1]]))
