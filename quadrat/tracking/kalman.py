"""A constant-velocity Kalman filter for all tracks at once.

The four coordinates of a box (centre x, centre y, width, height) do not touch each other in the motion,
in the noise or in the measurement, so their 8 x 8 covariance is four blocks of 2 x 2. Each block is
three numbers, and prediction and correction are plain arithmetic on arrays (N, 4): no inverse, no loop.
Noise is a share of the object's size, the root of its area at the time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

SMALLEST_SIDE = 1.0
"""Pixels; a box is never thinner for the filter, so that no size is zero."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations as shares of the object's size, for (centre x, centre y, width, height).

    `seen` of a measured coordinate, `place` and `speed` of what a step adds to a coordinate and its speed,
    `start` of the unknown speed of a new track.
    """

    seen: tuple[float, float, float, float] = (0.05, 0.05, 0.05, 0.05)
    place: tuple[float, float, float, float] = (0.02, 0.02, 0.02, 0.02)
    speed: tuple[float, float, float, float] = (0.015, 0.015, 0.005, 0.005)
    start: tuple[float, float, float, float] = (0.15, 0.15, 0.02, 0.02)

    def variance(self, name: str, size: F64) -> F64:
        """Give the variances (N, 4) in square pixels of objects of `size` (N,) in pixels."""
        shares: tuple[float, ...] = getattr(self, name)
        return np.square(np.multiply.outer(size, np.asarray(shares, np.float64)))


@dataclass(slots=True, eq=False)
class Motion:
    """What the filter knows of N tracks, all (N, 4) float64 in pixels and pixels per step.

    `place` and `speed` are the means, `pp`, `ps`, `ss` the covariances of place with itself, of place with
    speed, and of speed with itself.
    """

    place: F64
    speed: F64
    pp: F64
    ps: F64
    ss: F64

    @classmethod
    def begin(cls, boxes: F64, noise: Noise) -> Motion:
        """Start at boxes (N, 4) in centre form, at rest."""
        size = sizes(boxes)
        zero = np.zeros_like(boxes)
        return cls(
            boxes.copy(), zero, noise.variance("seen", size), zero.copy(), noise.variance("start", size)
        )

    def take(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> Motion:
        """Select tracks by a mask or by indices."""
        return Motion(*(getattr(self, f.name)[index] for f in fields(self)))

    def put(self, index: NDArray[np.intp], other: Motion) -> None:
        """Write the tracks of `other` over those at `index`."""
        for field in fields(self):
            getattr(self, field.name)[index] = getattr(other, field.name)

    def join(self, other: Motion) -> Motion:
        """Put the tracks of `other` behind these."""
        return Motion(
            *(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self))
        )

    def predict(self, steps: float, noise: Noise) -> None:
        """Move on by `steps`, as if by so many single steps, each with its noise.

        The sums over single steps are closed: 1 + ... + (k - 1) = k (k - 1) / 2 of the speed's noise goes into
        the covariance, and 1 + ... + (k - 1)^2 = (k - 1) k (2 k - 1) / 6 into the place.
        """
        size = sizes(self.place)
        place, speed = noise.variance("place", size), noise.variance("speed", size)
        once = max(0.0, steps * (steps - 1) / 2)
        twice = max(0.0, (steps - 1) * steps * (2 * steps - 1) / 6) if steps > 1 else 0.0
        self.place = self.place + steps * self.speed
        np.maximum(self.place[:, 2:], SMALLEST_SIDE, out=self.place[:, 2:])
        self.pp = self.pp + 2 * steps * self.ps + steps**2 * self.ss + steps * place + twice * speed
        self.ps = self.ps + steps * self.ss + once * speed
        self.ss = self.ss + steps * speed

    def correct(self, boxes: F64, noise: Noise) -> None:
        """Take measured boxes (N, 4) in centre form, one for each track."""
        total = self.pp + noise.variance("seen", sizes(boxes))
        gain, drive = self.pp / total, self.ps / total
        off = boxes - self.place
        self.place = self.place + gain * off
        np.maximum(self.place[:, 2:], SMALLEST_SIDE, out=self.place[:, 2:])
        self.speed = self.speed + drive * off
        self.ss = self.ss - drive * self.ps
        self.ps = self.ps * (1 - gain)
        self.pp = self.pp * (1 - gain)


def sizes(boxes: F64) -> F64:
    """Give the root of the area (N,) in pixels of boxes (N, 4) in centre form, at least a pixel."""
    return np.sqrt(np.maximum(boxes[:, 2] * boxes[:, 3], SMALLEST_SIDE))


def to_centres(boxes: NDArray[np.float32]) -> F64:
    """Take corners x0, y0, x1, y1 (N, 4) to centre x, centre y, width, height; sides are at least a pixel."""
    low, high = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    return np.concatenate([(low + high) / 2, np.maximum(high - low, SMALLEST_SIDE)], axis=1)
