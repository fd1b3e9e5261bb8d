"""A constant-velocity Kalman filter that runs on all tracks at once.

The filter follows the centre and the sides of a box (x, y, width, height) independently of each other: motion, noise
and measurement do not couple them. The 8 x 8 covariance therefore splits into four 2 x 2 blocks of three numbers
each, and prediction and correction are element-wise arithmetic on (N, 4) arrays, without a matrix inverse or a loop.

All standard deviations are shares of the object's size, the square root of its area. How much the velocity of the
centre changes from one step to the next depends on the objects and on the frame rate; `motion.py` estimates it. The
equations are those of Kalman, A New Approach to Linear Filtering and Prediction Problems (1960).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Indices = NDArray[np.intp]

MEASUREMENT_NOISE = np.array([0.05, 0.05, 0.1, 0.1])
"""Standard deviations of a measured centre and of measured sides."""
INITIAL_VELOCITY = np.array([0.3, 0.3, 0.1, 0.1])
"""Standard deviations of the unknown velocity of a new track, per step."""
SIDE_ACCELERATION = 0.01
"""Standard deviation of the change of a side's velocity from one step to the next."""
MIN_SIDE = 1.0
"""Smallest side of a box in the filter, in pixels; it keeps sizes and variances above zero."""
POSITION, VELOCITY, POSITION_VAR, CROSS_COV, VELOCITY_VAR = range(5)
"""Rows of a state (N, 5, 4): two means, then the variances and the covariance of position and velocity."""


def initiate(boxes: F64) -> F64:
    """Return the states (N, 5, 4) of objects at rest at `boxes` (N, 4), corners x0, y0, x1, y1 in pixels."""
    state = np.zeros((len(boxes), 5, 4))
    state[:, POSITION] = centres_and_sides(boxes)
    size = sizes(state)
    state[:, POSITION_VAR] = _variance(size, MEASUREMENT_NOISE)
    state[:, VELOCITY_VAR] = _variance(size, INITIAL_VELOCITY)
    return state


def predict(state: F64, steps: float, acceleration: float) -> F64:
    """Return the states (N, 5, 4) after `steps` more steps.

    `acceleration` is the standard deviation of the change of a centre's velocity per step, as a share of the size. The
    result equals that of as many single predictions, each with its process noise. With k steps, the noise of the
    velocity adds 1 + ... + (k - 1) = k (k - 1) / 2 times to the covariance of position and velocity, and
    1 + 4 + ... + (k - 1)^2 = (k - 1) k (2 k - 1) / 6 times to the variance of the position.
    """
    shares = np.array([acceleration, acceleration, SIDE_ACCELERATION, SIDE_ACCELERATION])
    velocity = _variance(sizes(state), shares)
    linear = max(0.0, steps * (steps - 1) / 2)
    square = linear * max(0.0, 2 * steps - 1) / 3
    new = np.empty_like(state)
    new[:, POSITION] = state[:, POSITION] + steps * state[:, VELOCITY]
    new[:, VELOCITY] = state[:, VELOCITY]
    new[:, POSITION_VAR] = (
        state[:, POSITION_VAR]
        + 2 * steps * state[:, CROSS_COV]
        + steps**2 * state[:, VELOCITY_VAR]
        + square * velocity
    )
    new[:, CROSS_COV] = state[:, CROSS_COV] + steps * state[:, VELOCITY_VAR] + linear * velocity
    new[:, VELOCITY_VAR] = state[:, VELOCITY_VAR] + steps * velocity
    return _with_min_side(new)


def correct(state: F64, boxes: F64) -> F64:
    """Return the states (N, 5, 4) corrected by measured `boxes` (N, 4), one for each track."""
    innovation_var = innovation_variances(state)
    position_gain, velocity_gain = (
        state[:, POSITION_VAR] / innovation_var,
        state[:, CROSS_COV] / innovation_var,
    )
    innovation = centres_and_sides(boxes) - state[:, POSITION]
    new = np.empty_like(state)
    new[:, POSITION] = state[:, POSITION] + position_gain * innovation
    new[:, VELOCITY] = state[:, VELOCITY] + velocity_gain * innovation
    new[:, POSITION_VAR] = state[:, POSITION_VAR] * (1 - position_gain)
    new[:, CROSS_COV] = state[:, CROSS_COV] * (1 - position_gain)
    new[:, VELOCITY_VAR] = state[:, VELOCITY_VAR] - velocity_gain * state[:, CROSS_COV]
    return _with_min_side(new)


def gating_distances(state: F64, boxes: F64) -> F64:
    """Return the squared Mahalanobis distances (N,) between tracks and `boxes` (N, 4), pair by pair."""
    innovation = centres_and_sides(boxes) - state[:, POSITION]
    result: F64 = (np.square(innovation) / innovation_variances(state)).sum(axis=1)
    return result


def innovation_variances(state: F64) -> F64:
    """Return the variances (N, 4) of the innovation: those of the prediction plus those of the measurement."""
    return state[:, POSITION_VAR] + _variance(sizes(state), MEASUREMENT_NOISE)


def corners(state: F64) -> F64:
    """Return the boxes (N, 4), corners in pixels, of states (N, 5, 4)."""
    centre, half = np.split(state[:, POSITION], 2, axis=1)
    return np.concatenate([centre - half / 2, centre + half / 2], axis=1)


def sizes(state: F64) -> F64:
    """Return the square root of the area (N,), in pixels, of the boxes of states (N, 5, 4)."""
    result: F64 = np.sqrt(state[:, POSITION, 2:].prod(axis=1))
    return result


def centres_and_sides(boxes: F64) -> F64:
    """Return centre x, centre y, width and height (N, 4) of boxes (N, 4)."""
    return np.concatenate([centres(boxes), sides(boxes)], axis=1)


def centres(boxes: F64) -> F64:
    """Return the centres (N, 2) of boxes (N, 4)."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def sides(boxes: F64) -> F64:
    """Return the width and height (N, 2) of boxes (N, 4)."""
    return boxes[:, 2:] - boxes[:, :2]


def with_min_side(boxes: F64) -> F64:
    """Return boxes (N, 4) whose sides below MIN_SIDE are widened to it about their centre."""
    missing = np.maximum(MIN_SIDE - sides(boxes), 0) / 2
    return np.concatenate([boxes[:, :2] - missing, boxes[:, 2:] + missing], axis=1)


def _variance(size: F64, shares: F64) -> F64:
    return np.square(size[:, None] * shares)


def _with_min_side(state: F64) -> F64:
    state[:, POSITION, 2:] = np.maximum(state[:, POSITION, 2:], MIN_SIDE)
    return state
