"""The filter on arrays equals the textbook's filter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.tracking import kalman
from quadrat.tracking.kalman import CROSS_COV, POSITION, POSITION_VAR, VELOCITY, VELOCITY_VAR, Noise

NOISE = Noise()
MOTION = np.array([5.0, -3.0, 5.0, -3.0])
SIZE = np.array([60.0, 80.0, 100.0, 120.0, 140.0])
"""Sizes of the five objects, independent of their boxes."""


def random_boxes(count: int = 5, seed: int = 0) -> np.ndarray:
    """Make boxes (count, 4)."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 900, (count, 2))
    return np.concatenate([low, low + rng.uniform(20, 200, (count, 2))], axis=1)


def textbook(boxes: list[np.ndarray], track: int) -> tuple[np.ndarray, np.ndarray]:
    """Run one track through the 8 x 8 matrix equations; return mean (8,) and covariance (8, 8) after the last box."""

    def noise(share: float) -> np.ndarray:
        return np.full(4, (SIZE[track] * share) ** 2)

    first = boxes[0][track]
    mean = np.concatenate([first, np.zeros(4)])
    covariance = np.diag(np.concatenate([noise(NOISE.measurement), noise(NOISE.initial_velocity)]))
    step = np.eye(8) + np.eye(8, k=4)
    observe = np.eye(4, 8)
    for box in (one[track] for one in boxes[1:]):
        added = np.diag(np.concatenate([noise(NOISE.position), noise(NOISE.velocity)]))
        mean, covariance = step @ mean, step @ covariance @ step.T + added
        gain = (
            covariance
            @ observe.T
            @ np.linalg.inv(observe @ covariance @ observe.T + np.diag(noise(NOISE.measurement)))
        )
        mean, covariance = mean + gain @ (box - observe @ mean), (np.eye(8) - gain @ observe) @ covariance
    return mean, covariance


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_filter_equals_the_textbooks(seed):
    """Means and covariances equal those of the matrix equations, for each track by itself."""
    rng = np.random.default_rng(seed)
    boxes = [random_boxes(seed=seed) + f * MOTION + rng.normal(0, 2, (5, 4)) for f in range(6)]
    state = kalman.initiate(boxes[0], SIZE, NOISE)
    for seen in boxes[1:]:
        state = kalman.correct(kalman.predict(state, SIZE, 1.0, NOISE), SIZE, seen, NOISE)
    for track in range(5):
        mean, covariance = textbook(boxes, track)
        assert np.allclose(state[track, [POSITION, VELOCITY]].ravel(), mean)
        assert np.allclose(state[track, POSITION_VAR], np.diag(covariance)[:4])
        assert np.allclose(state[track, CROSS_COV], np.diag(covariance[:4, 4:]))
        assert np.allclose(state[track, VELOCITY_VAR], np.diag(covariance)[4:])


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_prediction_of_k_steps_equals_k_predictions(steps):
    """The closed sums of the process noise are exact."""
    first = kalman.predict(kalman.initiate(random_boxes(), SIZE, NOISE), SIZE, 1.0, NOISE)
    state = kalman.correct(first, SIZE, random_boxes() + MOTION, NOISE)
    once, single = kalman.predict(state, SIZE, float(steps), NOISE), state
    for _ in range(steps):
        single = kalman.predict(single, SIZE, 1.0, NOISE)
    assert np.allclose(once, single)


@given(st.lists(st.floats(0, 40), max_size=12), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_covariances_stay_valid(gaps, seed):
    """At any times, variances are positive and correlations at most 1."""
    state = kalman.initiate(random_boxes(seed=seed), SIZE, NOISE)
    for number, steps in enumerate(gaps):
        state = kalman.predict(state, SIZE, steps, NOISE)
        if number % 3:
            state = kalman.correct(state, SIZE, random_boxes(seed=number), NOISE)
        assert (state[:, POSITION_VAR] > 0).all()
        assert (state[:, VELOCITY_VAR] > 0).all()
        assert (
            state[:, CROSS_COV] ** 2 <= state[:, POSITION_VAR] * state[:, VELOCITY_VAR] * (1 + 1e-9)
        ).all()
        assert (kalman.sides(state[:, POSITION]) >= kalman.MIN_SIDE - 1e-9).all()


def test_the_velocity_of_a_steady_object_is_found():
    """After 40 frames the velocity of a steady object is known."""
    state = kalman.initiate(random_boxes(), SIZE, NOISE)
    for frame in range(1, 40):
        state = kalman.correct(
            kalman.predict(state, SIZE, 1.0, NOISE), SIZE, random_boxes() + frame * MOTION, NOISE
        )
    assert np.allclose(state[:, VELOCITY], MOTION, atol=0.05)


def test_gating_distances_follow_their_distribution():
    """Pairs that deviate as assumed have a mean distance of 4: 1 for each centre and side coordinate."""
    rng = np.random.default_rng(0)
    boxes, size = np.tile([500.0, 300.0, 580.0, 420.0], (4000, 1)), np.full(4000, 100.0)
    state = kalman.initiate(boxes, size, NOISE)
    deviation = 100 * NOISE.measurement
    centre = rng.normal(0, deviation * np.sqrt(2), (4000, 2))
    side = rng.normal(0, deviation * np.sqrt(1 + kalman.SIDE_VARIANCE), (4000, 2))
    there = boxes + np.concatenate([centre - side / 2, centre + side / 2], axis=1)
    assert kalman.gating_distances(state, size, there, NOISE).mean() == pytest.approx(4, rel=0.05)


def test_boxes_never_lack_a_side():
    """A side below a pixel is widened about its centre."""
    corners = np.array([[10, 20, 30, 60], [5, 5, 5, 4]], np.float64)
    assert kalman.with_min_side(corners).tolist() == [[10, 20, 30, 60], [4.5, 4, 5.5, 5]]


def test_gating_distances_of_known_offsets():
    """A shifted box deviates in its centre, a stretched one in its side; both are divided by their variance."""
    box, size = np.array([[500.0, 300.0, 580.0, 420.0]]), np.array([100.0])
    state = kalman.predict(kalman.initiate(box, size, NOISE), size, 1.0, NOISE)
    predicted, measured = state[0, POSITION_VAR, 0], (100 * NOISE.measurement) ** 2
    for offset, expected in (
        ((6, 0, 6, 0), 6**2 / (predicted + measured)),
        ((0, -6, 0, -6), 6**2 / (predicted + measured)),
        ((-3, 0, 3, 0), 6**2 / (kalman.SIDE_VARIANCE * predicted + measured)),
        ((0, 3, 0, -3), 6**2 / (kalman.SIDE_VARIANCE * predicted + measured)),
    ):
        assert kalman.gating_distances(state, size, box + offset, NOISE) == pytest.approx([expected])


def test_sides_and_sizes():
    """A size is the square root of the area."""
    boxes = np.array([[10, 20, 30, 65], [0, 0, 9, 4]], np.float64)
    assert kalman.sides(boxes).tolist() == [[20, 45], [9, 4]]
    assert kalman.sizes(boxes) == pytest.approx([30, 6])


@pytest.mark.parametrize("steps", [0.25, 0.5])
def test_a_part_of_a_step_adds_noise_in_proportion(steps):
    """Below one step, the closed sums of the velocity's noise are 0."""
    state = kalman.initiate(random_boxes(), SIZE, NOISE)
    state[:, VELOCITY] = MOTION
    moved = kalman.predict(state, SIZE, steps, NOISE)
    assert np.allclose(moved[:, POSITION], state[:, POSITION] + steps * MOTION)
    added = steps**2 * state[:, VELOCITY_VAR] + steps * ((SIZE * NOISE.position) ** 2)[:, None]
    assert np.allclose(moved[:, POSITION_VAR], state[:, POSITION_VAR] + added)
    assert np.allclose(moved[:, CROSS_COV], steps * state[:, VELOCITY_VAR])


def test_predict_and_correct_do_not_write_to_their_input():
    """States and boxes that go in stay as they are."""
    state, boxes = kalman.initiate(random_boxes(), SIZE, NOISE), random_boxes(seed=1)
    state[0, POSITION] = (5, 5, 5, 5)
    for array in (state, boxes):
        array.flags.writeable = False
    kalman.correct(kalman.predict(state, SIZE, 1.0, NOISE), SIZE, boxes, NOISE)
    kalman.correct(state, SIZE, boxes, NOISE)
