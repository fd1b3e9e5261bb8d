"""A constant-velocity Kalman filter for all tracks at once.

The four coordinates of a box (centre x, centre y, width, height) do not touch each other in the motion,
in the noise or in the measurement, so their 8 x 8 covariance is four blocks of 2 x 2. Each block is
three numbers, and prediction and correction are plain arithmetic on arrays (N, 4): no inverse, no loop.
Noise is a share of the object's size, the root of its area at the time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Indices = NDArray[np.intp]

SMALLEST_SIDE = 1.0
"""Pixels; a box is never thinner for the filter, so that no size is zero."""
PLACE, SPEED, PP, PS, SS = range(5)
"""Rows of a state (N, 5, 4): the means, then the covariances of place and place, place and speed, speed and speed."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations as shares of the object's size, for (centre x, centre y, width, height).

    `seen` of a measured coordinate, `place` and `speed` of what a step adds to a coordinate and its speed,
    `start` of the unknown speed of a new track.
    """

    seen: tuple[float, float, float, float] = (0.06, 0.06, 0.06, 0.06)
    place: tuple[float, float, float, float] = (0.012, 0.012, 0.006, 0.006)
    speed: tuple[float, float, float, float] = (0.015, 0.015, 0.005, 0.005)
    start: tuple[float, float, float, float] = (0.15, 0.15, 0.04, 0.04)


def begin(boxes: F64, noise: Noise) -> F64:
    """Start at boxes (N, 4) in centre form, at rest; a state is (N, 5, 4) in pixels and pixels per step."""
    state = np.zeros((len(boxes), 5, 4))
    size = sizes(boxes)
    state[:, PLACE], state[:, PP], state[:, SS] = (
        boxes,
        _variance(size, noise.seen),
        _variance(size, noise.start),
    )
    return state


def predict(state: F64, steps: float, noise: Noise) -> F64:
    """Move on by `steps`, as if by so many single steps, each with its noise.

    The sums over single steps are closed: of the speed's noise, 1 + ... + (k - 1) = k (k - 1) / 2 goes into the
    mixed covariance and 1 + ... + (k - 1)^2 = (k - 1) k (2 k - 1) / 6 into the place's.
    """
    size = sizes(state[:, PLACE])
    place, speed = _variance(size, noise.place), _variance(size, noise.speed)
    once = max(0.0, steps * (steps - 1) / 2)
    twice = once * max(0.0, 2 * steps - 1) / 3
    new = np.empty_like(state)
    new[:, PLACE] = state[:, PLACE] + steps * state[:, SPEED]
    new[:, SPEED] = state[:, SPEED]
    new[:, PP] = (
        state[:, PP] + 2 * steps * state[:, PS] + steps**2 * state[:, SS] + steps * place + twice * speed
    )
    new[:, PS] = state[:, PS] + steps * state[:, SS] + once * speed
    new[:, SS] = state[:, SS] + steps * speed
    return _thick(new)


def correct(state: F64, boxes: F64, noise: Noise) -> F64:
    """Take measured boxes (N, 4) in centre form, one for each track."""
    total = state[:, PP] + _variance(sizes(boxes), noise.seen)
    gain, drive = state[:, PP] / total, state[:, PS] / total
    off = boxes - state[:, PLACE]
    new = np.empty_like(state)
    new[:, PLACE] = state[:, PLACE] + gain * off
    new[:, SPEED] = state[:, SPEED] + drive * off
    new[:, PP] = state[:, PP] * (1 - gain)
    new[:, PS] = state[:, PS] * (1 - gain)
    new[:, SS] = state[:, SS] - drive * state[:, PS]
    return _thick(new)


def distances(state: F64, boxes: F64, noise: Noise) -> F64:
    """Give how far boxes (N, 4) lie from their tracks, squared, in standard deviations of what is due there.

    The sum over the four coordinates (Mahalanobis); of true pairs it has a chi-squared distribution with four
    degrees of freedom.
    """
    due = state[:, PLACE]
    total = state[:, PP] + _variance(sizes(due), noise.seen)
    result: F64 = (np.square(boxes - due) / total).sum(axis=1)
    return result


def sizes(boxes: F64) -> F64:
    """Give the root of the area (N,) in pixels of boxes (N, 4) in centre form, at least a pixel."""
    return np.sqrt(np.maximum(boxes[:, 2] * boxes[:, 3], SMALLEST_SIDE))


def to_centres(boxes: NDArray[np.float32]) -> F64:
    """Take corners x0, y0, x1, y1 (N, 4) to centre x, centre y, width, height; sides are at least a pixel."""
    low, high = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    return np.concatenate([(low + high) / 2, np.maximum(high - low, SMALLEST_SIDE)], axis=1)


def _variance(size: F64, shares: tuple[float, float, float, float]) -> F64:
    return np.square(np.multiply.outer(size, np.asarray(shares, np.float64)))


def _thick(state: F64) -> F64:
    np.maximum(state[:, PLACE, 2:], SMALLEST_SIDE, out=state[:, PLACE, 2:])
    return state
