"""A constant-velocity Kalman filter for all tracks at once.

The four edges of a box (x0, y0, x1, y1) do not touch each other in the motion, in the noise or in the
measurement, so their 8 x 8 covariance is four blocks of 2 x 2. Each block is three numbers, and prediction and
correction are plain arithmetic on arrays (N, 4): no inverse, no loop. Edges, not centre and sides, because a
side that is cut off, by the picture's border or by what stands before it, is one edge that stands still.
Noise is a share of the object's size, the root of its area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Indices = NDArray[np.intp]

STIFF = 0.1
"""Variance of a side that is due, as a part of that of an edge."""
SMALLEST_SIDE = 1.0
"""Pixels; a box is never thinner for the filter, so that no size is zero."""
PLACE, SPEED, PP, PS, SS = range(5)
"""Rows of a state (N, 5, 4): the means, then the covariances of place and place, place and speed, speed and speed."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations as shares of the object's size.

    `seen` of a measured edge, `place` and `speed` of what a step adds to an edge and its speed, `start` of the
    unknown speed of a new track.
    """

    seen: float = 0.067
    place: float = 0.0124
    speed: float = 0.0152
    start: float = 0.15


def begin(boxes: F64, size: F64, noise: Noise) -> F64:
    """Start at boxes (N, 4) of objects of a size (N,), at rest; a state is (N, 5, 4) in pixels and pixels per step."""
    state = np.zeros((len(boxes), 5, 4))
    state[:, PLACE] = boxes
    state[:, PP], state[:, SS] = _variance(size, noise.seen), _variance(size, noise.start)
    return state


def predict(state: F64, size: F64, steps: float, noise: Noise) -> F64:
    """Move on objects of a size (N,) by `steps`, as if by so many single steps, each with its noise.

    The sums over single steps are closed: of the speed's noise, 1 + ... + (k - 1) = k (k - 1) / 2 goes into the
    mixed covariance and 1 + ... + (k - 1)^2 = (k - 1) k (2 k - 1) / 6 into the place's.
    """
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


def correct(state: F64, size: F64, boxes: F64, noise: Noise) -> F64:
    """Take measured boxes (N, 4), one for each track of a size (N,)."""
    total = state[:, PP] + _variance(size, noise.seen)
    gain, drive = state[:, PP] / total, state[:, PS] / total
    off = boxes - state[:, PLACE]
    new = np.empty_like(state)
    new[:, PLACE] = state[:, PLACE] + gain * off
    new[:, SPEED] = state[:, SPEED] + drive * off
    new[:, PP] = state[:, PP] * (1 - gain)
    new[:, PS] = state[:, PS] * (1 - gain)
    new[:, SS] = state[:, SS] - drive * state[:, PS]
    return _thick(new)


def distances(state: F64, size: F64, boxes: F64, noise: Noise) -> F64:
    """Give how far boxes (N, 4) lie from their tracks, squared, in standard deviations of what is due there.

    The sum over middle and side on both axes (Mahalanobis), for objects that are seen whole: their edges go
    together, so that a side is known better than its edges tell by themselves (STIFF).
    """
    low, high = np.split(boxes - state[:, PLACE], 2, axis=1)
    due, seen = (state[:, PP, :2] + state[:, PP, 2:]) / 2, _variance(size, noise.seen)
    result: F64 = (
        np.square((low + high) / 2) / (due + seen) + np.square(high - low) / (STIFF * due + seen)
    ).sum(axis=1)
    return result


def variances(state: F64, size: F64, noise: Noise) -> F64:
    """Give the variance (N, 4) of each edge that is to be seen."""
    return state[:, PP] + _variance(size, noise.seen)


def sizes(boxes: F64) -> F64:
    """Give the root of the area (N,) in pixels of boxes (N, 4), whose sides are not under a pixel."""
    result: F64 = np.sqrt(sides(boxes).prod(axis=1))
    return result


def sides(boxes: F64) -> F64:
    """Give width and height (N, 2) of boxes (N, 4)."""
    return boxes[:, 2:] - boxes[:, :2]


def thick(boxes: F64) -> F64:
    """Widen boxes (N, 4), about their middle, whose sides are under a pixel."""
    lacking = np.maximum(SMALLEST_SIDE - sides(boxes), 0) / 2
    return np.concatenate([boxes[:, :2] - lacking, boxes[:, 2:] + lacking], axis=1)


def _variance(size: F64, share: float) -> F64:
    return np.square(share * size)[:, None]


def _thick(state: F64) -> F64:
    state[:, PLACE] = thick(state[:, PLACE])
    return state
