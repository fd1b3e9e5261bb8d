"""ByteTrack: clear objects first, then faint ones for the tracks still open (after Zhang et al., 2022)."""

from __future__ import annotations

from quadrat.parameters import TrackingSettings
from quadrat.tracking.association import Pairs, assign, join
from quadrat.tracking.follower import Follower
from quadrat.tracking.kalman import Indices
from quadrat.tracking.tracks import Seen

LEAST_OVERLAP = 0.2
"""For clear objects; what is half hidden keeps its place, so faint ones need more."""
LEAST_OVERLAP_FAINT = 0.2
FAINTEST = 0.1
"""Score under which an object is not looked at."""
CLEAR = 0.5
"""Score from which an object is sure to be one."""


class ByteTrack(Follower):
    """Two stages by score; only objects of min-score and more begin tracks."""

    def __init__(self, settings: TrackingSettings, min_score: float) -> None:
        super().__init__(settings, min_score)
        self._least = min_score
        self._clear = max(CLEAR, min_score)

    def associate(self, seen: Seen) -> Pairs:
        """Choose among clear objects for all tracks, then among faint ones for the rest."""
        worth, allowed = self.candidates(seen, LEAST_OVERLAP)
        clear = seen.scores >= self._clear
        first = assign(worth, allowed & clear)
        first = join(first, self.stay(seen, first))  # else a faint one would take the track of a clear one
        allowed &= (worth >= LEAST_OVERLAP_FAINT) & (seen.scores >= FAINTEST) & ~clear
        allowed[first[0]] = False
        return join(first, assign(worth, allowed))

    def starts(self, seen: Seen, free: Indices) -> Indices:
        """Begin at what counts by its score."""
        return free[seen.scores[free] >= self._least]
