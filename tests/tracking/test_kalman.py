"""The array filter is the textbook's filter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.tracking import kalman
from quadrat.tracking.kalman import PLACE, PP, PS, SPEED, SS, Noise

NOISE = Noise()
WAY = np.array([5.0, -3.0, 5.0, -3.0])
SIZE = np.array([60.0, 80.0, 100.0, 120.0, 140.0])
"""Of the five objects, whatever their boxes."""


def some(count: int = 5, seed: int = 0) -> np.ndarray:
    """Make boxes."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 900, (count, 2))
    return np.concatenate([low, low + rng.uniform(20, 200, (count, 2))], axis=1)


def textbook(boxes: list[np.ndarray], track: int) -> tuple[np.ndarray, np.ndarray]:
    """Run one track through the 8 x 8 matrix equations: mean (place, speed) and covariance after the last box."""

    def noise(share: float) -> np.ndarray:
        return np.full(4, (SIZE[track] * share) ** 2)

    first = boxes[0][track]
    mean = np.concatenate([first, np.zeros(4)])
    covariance = np.diag(np.concatenate([noise(NOISE.seen), noise(NOISE.start)]))
    step = np.eye(8) + np.eye(8, k=4)
    look = np.eye(4, 8)
    for box in (one[track] for one in boxes[1:]):
        added = np.diag(np.concatenate([noise(NOISE.place), noise(NOISE.speed)]))
        mean, covariance = step @ mean, step @ covariance @ step.T + added
        gain = covariance @ look.T @ np.linalg.inv(look @ covariance @ look.T + np.diag(noise(NOISE.seen)))
        mean, covariance = mean + gain @ (box - look @ mean), (np.eye(8) - gain @ look) @ covariance
    return mean, covariance


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_it_is_the_textbooks_filter(seed):
    """Means and covariances are those of the matrix equations, for each track by itself."""
    rng = np.random.default_rng(seed)
    boxes = [some(seed=seed) + f * WAY + rng.normal(0, 2, (5, 4)) for f in range(6)]
    state = kalman.begin(boxes[0], SIZE, NOISE)
    for seen in boxes[1:]:
        state = kalman.correct(kalman.predict(state, SIZE, 1.0, NOISE), SIZE, seen, NOISE)
    for track in range(5):
        mean, covariance = textbook(boxes, track)
        assert np.allclose(state[track, [PLACE, SPEED]].ravel(), mean)
        assert np.allclose(state[track, PP], np.diag(covariance)[:4])
        assert np.allclose(state[track, PS], np.diag(covariance[:4, 4:]))
        assert np.allclose(state[track, SS], np.diag(covariance)[4:])


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_gap_is_so_many_single_steps(steps):
    """One prediction of k steps is k predictions of one."""
    begun = kalman.predict(kalman.begin(some(), SIZE, NOISE), SIZE, 1.0, NOISE)
    state = kalman.correct(begun, SIZE, some() + WAY, NOISE)
    once, single = kalman.predict(state, SIZE, float(steps), NOISE), state
    for _ in range(steps):
        single = kalman.predict(single, SIZE, 1.0, NOISE)
    assert np.allclose(once, single)


@given(st.lists(st.floats(0, 40), max_size=12), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_covariances_stay_possible(gaps, seed):
    """Whatever the times: variances are positive, and place and speed are no more than fully correlated."""
    state = kalman.begin(some(seed=seed), SIZE, NOISE)
    for number, steps in enumerate(gaps):
        state = kalman.predict(state, SIZE, steps, NOISE)
        if number % 3:
            state = kalman.correct(state, SIZE, some(seed=number), NOISE)
        assert (state[:, PP] > 0).all()
        assert (state[:, SS] > 0).all()
        assert (state[:, PS] ** 2 <= state[:, PP] * state[:, SS] * (1 + 1e-9)).all()
        assert (kalman.sides(state[:, PLACE]) >= kalman.SMALLEST_SIDE - 1e-9).all()


def test_a_steady_object_is_understood():
    """After some frames the speed of a steady object is known."""
    state = kalman.begin(some(), SIZE, NOISE)
    for frame in range(1, 40):
        state = kalman.correct(kalman.predict(state, SIZE, 1.0, NOISE), SIZE, some() + frame * WAY, NOISE)
    assert np.allclose(state[:, SPEED], WAY, atol=0.05)


def test_distances_have_their_distribution():
    """Pairs whose middle and side are off as they are due lie four off in the mean: one for each of them."""
    rng = np.random.default_rng(0)
    boxes, size = np.tile([500.0, 300.0, 580.0, 420.0], (4000, 1)), np.full(4000, 100.0)
    state = kalman.begin(boxes, size, NOISE)
    seen = 100 * NOISE.seen
    middle = rng.normal(0, seen * np.sqrt(2), (4000, 2))
    side = rng.normal(0, seen * np.sqrt(1 + kalman.STIFF), (4000, 2))
    there = boxes + np.concatenate([middle - side / 2, middle + side / 2], axis=1)
    assert kalman.distances(state, size, there, NOISE).mean() == pytest.approx(4, rel=0.05)


def test_boxes_are_never_without_a_side():
    """A side under a pixel is widened about its middle."""
    corners = np.array([[10, 20, 30, 60], [5, 5, 5, 4]], np.float64)
    assert kalman.thick(corners).tolist() == [[10, 20, 30, 60], [4.5, 4, 5.5, 5]]
