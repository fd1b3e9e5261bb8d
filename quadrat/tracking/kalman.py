"""A constant-velocity Kalman filter that runs on all tracks at once.

The filter follows the four edges of a box (x0, y0, x1, y1) independently of each other: motion, noise and
measurement do not couple them. The 8 x 8 covariance therefore splits into four 2 x 2 blocks of three numbers each,
and prediction and correction are element-wise arithmetic on (N, 4) arrays, without a matrix inverse or a loop.
The state holds edges instead of centre and sides because an object that is cut off, by the border of the picture or
by another object, then changes one edge only.

All standard deviations are shares of the object's size, the square root of its area. The equations are those of
Kalman, A New Approach to Linear Filtering and Prediction Problems (1960).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Indices = NDArray[np.intp]

SIDE_VARIANCE = 0.1
"""Variance of the predicted length of a side, as a share of the variance of a predicted edge."""
MIN_SIDE = 1.0
"""Smallest side of a box in the filter, in pixels; it keeps sizes and variances above zero."""
POSITION, VELOCITY, POSITION_VAR, CROSS_COV, VELOCITY_VAR = range(5)
"""Rows of a state (N, 5, 4): two means, then the variances and the covariance of position and velocity."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations, as shares of the object's size.

    `measurement` is that of a measured edge; `position` and `velocity` are those of the process noise that one step
    adds to an edge and to its velocity; `initial_velocity` is that of the unknown velocity of a new track.
    """

    measurement: float = 0.067
    position: float = 0.0124
    velocity: float = 0.0152
    initial_velocity: float = 0.15


def initiate(boxes: F64, size: F64, noise: Noise) -> F64:
    """Return the states (N, 5, 4) of objects at rest at `boxes`, in pixels and pixels per step.

    `boxes` (N, 4) are corners x0, y0, x1, y1 in pixels; `size` (N,) is the size of each object in pixels.
    """
    state = np.zeros((len(boxes), 5, 4))
    state[:, POSITION] = boxes
    state[:, POSITION_VAR] = _variance(size, noise.measurement)
    state[:, VELOCITY_VAR] = _variance(size, noise.initial_velocity)
    return state


def predict(state: F64, size: F64, steps: float, noise: Noise) -> F64:
    """Return the states (N, 5, 4) after `steps` more steps; `size` (N,) is in pixels.

    The result equals that of as many single predictions, each with its process noise. With k steps, the noise of the
    velocity adds 1 + ... + (k - 1) = k (k - 1) / 2 times to the covariance of position and velocity, and
    1 + 4 + ... + (k - 1)^2 = (k - 1) k (2 k - 1) / 6 times to the variance of the position.
    """
    position, velocity = _variance(size, noise.position), _variance(size, noise.velocity)
    linear = max(0.0, steps * (steps - 1) / 2)
    square = linear * max(0.0, 2 * steps - 1) / 3
    new = np.empty_like(state)
    new[:, POSITION] = state[:, POSITION] + steps * state[:, VELOCITY]
    new[:, VELOCITY] = state[:, VELOCITY]
    new[:, POSITION_VAR] = (
        state[:, POSITION_VAR]
        + 2 * steps * state[:, CROSS_COV]
        + steps**2 * state[:, VELOCITY_VAR]
        + steps * position
        + square * velocity
    )
    new[:, CROSS_COV] = state[:, CROSS_COV] + steps * state[:, VELOCITY_VAR] + linear * velocity
    new[:, VELOCITY_VAR] = state[:, VELOCITY_VAR] + steps * velocity
    return _with_min_side(new)


def correct(state: F64, size: F64, boxes: F64, noise: Noise) -> F64:
    """Return the states (N, 5, 4) corrected by measured `boxes` (N, 4), one for each track of `size` (N,)."""
    innovation_var = innovation_variances(state, size, noise)
    position_gain, velocity_gain = (
        state[:, POSITION_VAR] / innovation_var,
        state[:, CROSS_COV] / innovation_var,
    )
    innovation = boxes - state[:, POSITION]
    new = np.empty_like(state)
    new[:, POSITION] = state[:, POSITION] + position_gain * innovation
    new[:, VELOCITY] = state[:, VELOCITY] + velocity_gain * innovation
    new[:, POSITION_VAR] = state[:, POSITION_VAR] * (1 - position_gain)
    new[:, CROSS_COV] = state[:, CROSS_COV] * (1 - position_gain)
    new[:, VELOCITY_VAR] = state[:, VELOCITY_VAR] - velocity_gain * state[:, CROSS_COV]
    return _with_min_side(new)


def gating_distances(state: F64, size: F64, boxes: F64, noise: Noise) -> F64:
    """Return the squared Mahalanobis distances (N,) between tracks and `boxes` (N, 4), pair by pair.

    A distance sums the squared deviations of centre and side over both axes, in units of their variances. It assumes
    an object that is visible as a whole: its edges move together, so that the length of a side is known more exactly
    than independent edges would allow (SIDE_VARIANCE).
    """
    low, high = np.split(boxes - state[:, POSITION], 2, axis=1)
    predicted = (state[:, POSITION_VAR, :2] + state[:, POSITION_VAR, 2:]) / 2
    measured = _variance(size, noise.measurement)
    result: F64 = (
        np.square((low + high) / 2) / (predicted + measured)
        + np.square(high - low) / (SIDE_VARIANCE * predicted + measured)
    ).sum(axis=1)
    return result


def innovation_variances(state: F64, size: F64, noise: Noise) -> F64:
    """Return the variance (N, 4) of each edge's innovation: predicted position plus measurement noise."""
    return state[:, POSITION_VAR] + _variance(size, noise.measurement)


def sizes(boxes: F64) -> F64:
    """Return the square root of the area (N,), in pixels, of boxes (N, 4)."""
    result: F64 = np.sqrt(sides(boxes).prod(axis=1))
    return result


def sides(boxes: F64) -> F64:
    """Return the width and height (N, 2) of boxes (N, 4)."""
    return boxes[:, 2:] - boxes[:, :2]


def with_min_side(boxes: F64) -> F64:
    """Return boxes (N, 4) whose sides below MIN_SIDE are widened to it about their centre."""
    missing = np.maximum(MIN_SIDE - sides(boxes), 0) / 2
    return np.concatenate([boxes[:, :2] - missing, boxes[:, 2:] + missing], axis=1)


def _variance(size: F64, share: float) -> F64:
    return np.square(share * size)[:, None]


def _with_min_side(state: F64) -> F64:
    state[:, POSITION] = with_min_side(state[:, POSITION])
    return state
