"""The filter on arrays equals the textbook's filter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.tracking import kalman
from quadrat.tracking.kalman import CROSS_COV, POSITION, POSITION_VAR, VELOCITY, VELOCITY_VAR

ACCELERATION = 0.02
SHARES = np.array([ACCELERATION] * 2 + [kalman.SIDE_ACCELERATION] * 2)
MOTION = np.array([5.0, -3.0, 5.0, -3.0])
"""Velocity of corners; that of centre and sides is VELOCITIES."""
VELOCITIES = np.array([5.0, -3.0, 0.0, 0.0])


def random_boxes(count: int = 5, seed: int = 0) -> np.ndarray:
    """Make boxes (count, 4)."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 900, (count, 2))
    return np.concatenate([low, low + rng.uniform(20, 200, (count, 2))], axis=1)


def textbook(boxes: list[np.ndarray], track: int) -> tuple[np.ndarray, np.ndarray]:
    """Run one track through the 8 x 8 matrix equations; return mean (8,) and covariance (8, 8) after the last box."""
    measured = [kalman.centres_and_sides(one)[track] for one in boxes]
    mean = np.concatenate([measured[0], np.zeros(4)])

    def noise(shares: np.ndarray) -> np.ndarray:
        return mean[2] * mean[3] * np.square(shares)

    covariance = np.diag(np.concatenate([noise(kalman.MEASUREMENT_NOISE), noise(kalman.INITIAL_VELOCITY)]))
    step, observe = np.eye(8) + np.eye(8, k=4), np.eye(4, 8)
    for one in measured[1:]:
        added = np.diag(np.concatenate([np.zeros(4), noise(SHARES)]))
        mean, covariance = step @ mean, step @ covariance @ step.T + added
        expected = observe @ covariance @ observe.T + np.diag(noise(kalman.MEASUREMENT_NOISE))
        gain = covariance @ observe.T @ np.linalg.inv(expected)
        mean, covariance = mean + gain @ (one - observe @ mean), (np.eye(8) - gain @ observe) @ covariance
    return mean, covariance


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_filter_equals_the_textbooks(seed):
    """Means and covariances equal those of the matrix equations, for each track by itself."""
    rng = np.random.default_rng(seed)
    boxes = [random_boxes(seed=seed) + f * MOTION + rng.normal(0, 2, (5, 4)) for f in range(6)]
    state = kalman.initiate(boxes[0])
    for seen in boxes[1:]:
        state = kalman.correct(kalman.predict(state, 1.0, ACCELERATION), seen)
    for track in range(5):
        mean, covariance = textbook(boxes, track)
        assert np.allclose(state[track, [POSITION, VELOCITY]].ravel(), mean)
        assert np.allclose(state[track, POSITION_VAR], np.diag(covariance)[:4])
        assert np.allclose(state[track, CROSS_COV], np.diag(covariance[:4, 4:]))
        assert np.allclose(state[track, VELOCITY_VAR], np.diag(covariance)[4:])


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_prediction_of_k_steps_equals_k_predictions(steps):
    """The closed sums of the process noise are exact."""
    first = kalman.predict(kalman.initiate(random_boxes()), 1.0, ACCELERATION)
    state = kalman.correct(first, random_boxes() + MOTION)
    once, single = kalman.predict(state, float(steps), ACCELERATION), state
    for _ in range(steps):
        single = kalman.predict(single, 1.0, ACCELERATION)
    assert np.allclose(once, single)


@given(st.lists(st.floats(0, 40), max_size=12), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_covariances_stay_valid(gaps, seed):
    """At any times, variances are positive and correlations at most 1."""
    state = kalman.initiate(random_boxes(seed=seed))
    for number, steps in enumerate(gaps):
        state = kalman.predict(state, steps, ACCELERATION)
        if number % 3:
            state = kalman.correct(state, random_boxes(seed=number))
        assert (state[:, POSITION_VAR] > 0).all()
        assert (state[:, VELOCITY_VAR] > 0).all()
        assert (
            state[:, CROSS_COV] ** 2 <= state[:, POSITION_VAR] * state[:, VELOCITY_VAR] * (1 + 1e-9)
        ).all()
        assert (state[:, POSITION, 2:] >= kalman.MIN_SIDE).all()


def test_the_velocity_of_a_steady_object_is_found():
    """After 80 frames the velocity of a steady object is known."""
    state = kalman.initiate(random_boxes())
    for frame in range(1, 80):
        state = kalman.correct(kalman.predict(state, 1.0, ACCELERATION), random_boxes() + frame * MOTION)
    assert np.allclose(state[:, VELOCITY], VELOCITIES, atol=0.05)


def test_gating_distances_follow_their_distribution():
    """Pairs that deviate as assumed have a mean distance of 4: 1 for each centre and side coordinate."""
    rng = np.random.default_rng(0)
    boxes = np.tile([500.0, 300.0, 580.0, 420.0], (4000, 1))
    state = kalman.initiate(boxes)
    deviation = np.sqrt(kalman.innovation_variances(state))
    centre, side = np.split(rng.normal(0, deviation), 2, axis=1)
    there = boxes + np.concatenate([centre - side / 2, centre + side / 2], axis=1)
    assert kalman.gating_distances(state, there).mean() == pytest.approx(4, rel=0.05)


def test_boxes_never_lack_a_side():
    """A side below a pixel is widened about its centre."""
    corners = np.array([[10, 20, 30, 60], [5, 5, 5, 4]], np.float64)
    assert kalman.with_min_side(corners).tolist() == [[10, 20, 30, 60], [4.5, 4, 5.5, 5]]


def test_boxes_and_states_correspond():
    """The corners of a state at rest are the box that it started at; its size is the square root of the area."""
    boxes = np.array([[10, 20, 30, 65], [0, 0, 9, 4]], np.float64)
    state = kalman.initiate(boxes)
    assert state[:, POSITION].tolist() == [[20, 42.5, 20, 45], [4.5, 2, 9, 4]]
    assert kalman.corners(state).tolist() == boxes.tolist()
    assert kalman.sizes(state) == pytest.approx([30, 6])


@pytest.mark.parametrize("steps", [0.25, 0.5])
def test_a_part_of_a_step_adds_noise_in_proportion(steps):
    """Below one step, the closed sums of the velocity's noise are 0."""
    state = kalman.initiate(random_boxes())
    state[:, VELOCITY] = VELOCITIES
    moved = kalman.predict(state, steps, ACCELERATION)
    assert np.allclose(moved[:, POSITION], state[:, POSITION] + steps * VELOCITIES)
    added = steps**2 * state[:, VELOCITY_VAR]
    assert np.allclose(moved[:, POSITION_VAR], state[:, POSITION_VAR] + added)
    assert np.allclose(moved[:, CROSS_COV], steps * state[:, VELOCITY_VAR])


def test_predict_and_correct_do_not_write_to_their_input():
    """States and boxes that go in stay as they are."""
    state, boxes = kalman.initiate(random_boxes()), random_boxes(seed=1)
    state[0, POSITION] = (5, 5, 5, 5)
    for array in (state, boxes):
        array.flags.writeable = False
    kalman.correct(kalman.predict(state, 1.0, ACCELERATION), boxes)
    kalman.correct(state, boxes)
