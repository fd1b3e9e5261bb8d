"""How much objects change their velocity is estimated from their tracks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.tracking import motion
from quadrat.tracking.motion import EXPECTED_ACCELERATION, LEAST, MOST, WINDOW, Motion
from tests.tracking.scenes import boxes, tracker, tracks_of


def paths(seed: int, acceleration: float, error: float, frames: int = 200, count: int = 30) -> np.ndarray:
    """Make measured centres (frames, count, 2) of objects of size 1 whose velocity changes at random."""
    rng = np.random.default_rng(seed)
    velocity = np.cumsum(rng.normal(0, acceleration, (frames, count, 2)), axis=0)
    return np.cumsum(velocity, axis=0) + rng.normal(0, error, velocity.shape)


def estimate(centres: np.ndarray) -> float:
    """Add every window of these paths."""
    made = Motion()
    for last in range(WINDOW, len(centres) + 1):
        made.add(centres[last - WINDOW : last][::-1].transpose(1, 0, 2), np.ones(centres.shape[1]))
    return made.acceleration


@given(st.integers(0, 100), st.sampled_from([0.01, 0.03, 0.1]), st.sampled_from([0.0, 0.02, 0.05]))
@settings(max_examples=20, deadline=None)
def test_the_acceleration_is_found_whatever_the_error_of_measurement(seed, acceleration, error):
    """The mean absolute value is 0.8 of a normal distribution's standard deviation."""
    found = estimate(paths(seed, acceleration, error))
    assert found == pytest.approx(np.sqrt(2 / np.pi) * acceleration, rel=0.2, abs=0.004)


def test_at_a_lower_frame_rate_the_acceleration_per_step_is_larger():
    """Every fifth frame of the same objects."""
    every = paths(0, 0.01, 0.02, frames=1000)
    assert estimate(every[::5]) > 5 * estimate(every)


def test_it_starts_with_what_is_expected_and_stays_in_range():
    """Without tracks, with objects at rest, and with objects that jump about."""
    assert Motion().acceleration == pytest.approx(EXPECTED_ACCELERATION)
    assert estimate(np.zeros((300, 20, 2))) == LEAST
    assert estimate(np.random.default_rng(0).uniform(0, 50, (300, 20, 2)).cumsum(axis=0)) == MOST


def test_boxes_reach_as_far_as_the_objects_are_unsteady():
    """They are enlarged by more at a lower frame rate, up to a limit."""
    steady, unsteady = Motion(), Motion()
    assert Motion().reach == pytest.approx(0.3)
    steady.add(np.zeros((500, WINDOW, 2)), np.ones(500))
    walks = np.random.default_rng(0).normal(0, 1, (500, WINDOW, 2)).cumsum(axis=1).cumsum(axis=1)
    unsteady.add(walks, np.ones(500))
    assert steady.reach < 0.25
    assert unsteady.reach == motion.MOST_REACH


def test_steps_without_an_observation_do_not_count():
    """A difference counts only if all three of its centres are known."""
    made, recent = Motion(), np.full((1, WINDOW, 2), 5.0)
    recent[0, 2] = recent[0, 3] = np.nan
    made.add(recent, np.ones(1))
    assert made.acceleration == pytest.approx(EXPECTED_ACCELERATION)


def test_a_tracker_learns_from_its_tracks_and_forgets_on_reset():
    """Objects that run to and fro make the estimate larger; another source starts anew."""
    made = tracker("sort")
    tracks_of(made, [boxes((100 + 12 * np.sin(n / 2), 100)) for n in range(200)])
    assert made.motion.acceleration > 2 * EXPECTED_ACCELERATION
    made.reset()
    assert made.motion.acceleration == pytest.approx(EXPECTED_ACCELERATION)


def test_the_longer_lag_counts_accelerations_as_stated():
    """The weights of the accelerations within two lags are those of a triangle."""
    lag = motion.LAG
    triangle = [min(n, 2 * lag - n) for n in range(1, 2 * lag)]
    assert sum(n * n for n in triangle) == pytest.approx(motion.ACCELERATIONS)
