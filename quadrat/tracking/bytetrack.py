"""ByteTrack: clear objects first, then faint ones for the tracks that are left.

After Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box (2022).
"""

from __future__ import annotations

import numpy as np

from quadrat.parameters import TrackingSettings
from quadrat.tracking.association import Pairs, assign, concatenate
from quadrat.tracking.base import BaseTracker
from quadrat.tracking.kalman import Indices
from quadrat.tracking.tracks import Observations

CLEAR_SCORE = 0.6
"""Score from which an observation is clear, unless min-score is higher or the network's scores are mostly lower."""
FAINT_SCORE = 0.2
"""Score from which an observation takes part in the second stage."""
SCORE_STEPS = 1000
"""Number of steps in which scores are counted for their median."""


class ByteTrack(BaseTracker):
    """Match in two stages by score; only clear observations start tracks.

    A network whose scores are low has clear objects, too: the median of all scores from `min-score` on, up to the
    present frame, lowers the limit.
    """

    def __init__(self, tracking: TrackingSettings, min_score: float) -> None:
        super().__init__(tracking, min_score)
        self._scores = np.zeros(SCORE_STEPS + 1, np.int64)
        self._clear_score = CLEAR_SCORE

    def associate(self, observed: Observations) -> Pairs:
        """Match clear observations with all tracks, then faint ones with the tracks that are left."""
        self._count_scores(observed)
        similarity, allowed = self.candidates(observed)
        clear = observed.scores >= self._clear_score
        first = assign(similarity, allowed & clear)
        allowed &= (observed.scores >= FAINT_SCORE) & ~clear
        allowed[first[0]] = False
        return concatenate(first, assign(similarity, allowed))

    def startable(self, observed: Observations, index: Indices) -> Indices:
        """Return those of the observations at `index` that are clear."""
        return index[observed.scores[index] >= self._clear_score]

    def _count_scores(self, observed: Observations) -> None:
        """Count the scores of one frame and set the limit."""
        scores = observed.scores[observed.scores >= self._min_score]
        np.add.at(self._scores, (np.clip(scores, 0, 1) * SCORE_STEPS).astype(int), 1)
        below = np.cumsum(self._scores)
        median = float(np.searchsorted(below, (below[-1] + 1) // 2)) / SCORE_STEPS
        self._clear_score = max(self._min_score, min(CLEAR_SCORE, median if below[-1] else CLEAR_SCORE))
