"""How much objects change their velocity, estimated from the tracks of one source.

The second difference of a centre over a lag of k steps, z(t) - 2 z(t - k) + z(t - 2k), consists of the errors of three
measurements, which do not depend on k, and of the accelerations within 2k steps. If one step adds variance q to the
velocity, the accelerations contribute (2 k^3 + k) / 3 times q. The variances for two lags therefore give q without
knowing the error of the detector. Slow objects at a high frame rate and fast ones at a low rate differ in q by a factor
of 100.
"""

from __future__ import annotations

import numpy as np

from quadrat.tracking.kalman import F64

LAG = 3
"""The longer of the two lags, in steps; the shorter one is 1."""
ACCELERATIONS = (2 * LAG**3 + LAG) / 3
"""How many times the accelerations count with the longer lag."""
WINDOW = 2 * LAG + 1
"""Number of steps whose centres are kept."""
EXPECTED_ACCELERATION, EXPECTED_ERROR = 0.015, 0.05
"""Initial estimates of the standard deviations of acceleration and measurement, as shares of the size."""
EXPECTED_WEIGHT = 50.0
"""Number of observed differences that these expectations count for."""
LEAST, MOST = 0.005, 0.3
"""Range of the estimate."""
REACH, MOST_REACH = 20.0, 0.4
"""By how much of its side a box is enlarged for each unit of acceleration, and at most."""


class Motion:
    """Estimate the standard deviation of the change of velocity per step, as a share of the size.

    Mean absolute values stand for standard deviations: a match with a wrong object then counts little.
    """

    def __init__(self) -> None:
        error = 6 * EXPECTED_ERROR**2
        expected = np.sqrt(
            [EXPECTED_ACCELERATION**2 + error, ACCELERATIONS * EXPECTED_ACCELERATION**2 + error]
        )
        self._sums: F64 = expected * EXPECTED_WEIGHT
        self._weights: F64 = np.full(2, EXPECTED_WEIGHT)

    @property
    def acceleration(self) -> float:
        """The present estimate."""
        short, long = np.square(self._sums / self._weights).tolist()
        variance = max(long - short, 0.0) / (ACCELERATIONS - 1)
        return min(max(float(np.sqrt(variance)), LEAST), MOST)

    @property
    def reach(self) -> float:
        """By how much of its side a box is enlarged on each side, so that fast objects overlap with their prediction."""
        return min(REACH * self.acceleration, MOST_REACH)

    def add(self, recent: F64, size: F64) -> None:
        """Add tracks that were just observed.

        `recent` (N, WINDOW, 2) are their centres in pixels in the last steps, newest first, NaN where a track was not
        observed; `size` (N,) is in pixels.
        """
        for index, lag in enumerate((1, LAG)):
            difference = recent[:, 0] - 2 * recent[:, lag] + recent[:, 2 * lag]
            known = np.isfinite(difference).all(axis=1)
            if known.any():
                self._sums[index] += np.sort(
                    (np.abs(difference[known]) / size[known, None]).mean(axis=1)
                ).sum()
                self._weights[index] += known.sum()
