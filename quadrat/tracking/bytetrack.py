"""ByteTrack: clear objects first, then faint ones for the tracks that are left.

After Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box (2022).
"""

from __future__ import annotations

from quadrat.tracking.association import Pairs, assign, concatenate
from quadrat.tracking.base import BaseTracker
from quadrat.tracking.kalman import Indices
from quadrat.tracking.tracks import Observations

MIN_IOU = 0.2
"""Smallest intersection over union of a predicted box and an observation that may match, in both stages."""
CLEAR_SCORE = 0.5
"""Score from which an observation takes part in the first stage, unless min-score is higher."""
FAINT_SCORE = 0.1
"""Score from which an observation takes part in the second stage."""


class ByteTrack(BaseTracker):
    """Match in two stages by score; only observations of `min-score` and above start tracks."""

    def associate(self, observed: Observations) -> Pairs:
        """Match clear observations with all tracks, then faint ones with the tracks that are left."""
        similarity, allowed = self.candidates(observed, MIN_IOU)
        clear = observed.scores >= max(CLEAR_SCORE, self._min_score)
        first = assign(similarity, allowed & clear)
        # Here, too, so that a faint observation does not take the track of an isolated clear one.
        first = concatenate(first, self.match_isolated(observed, first))
        allowed &= (observed.scores >= FAINT_SCORE) & ~clear
        allowed[first[0]] = False
        return concatenate(first, assign(similarity, allowed))

    def startable(self, observed: Observations, index: Indices) -> Indices:
        """Return those of the observations at `index` that score at least `min-score`."""
        return index[observed.scores[index] >= self._min_score]
