"""ByteTrack: clear objects first, then faint ones for the tracks still open (after Zhang et al., 2022)."""

from __future__ import annotations

import numpy as np

from quadrat.settings import Settings
from quadrat.tracking.association import Indices, Pairs, assign, join, others, overlap
from quadrat.tracking.tracks import Follower, Seen

LEAST_OVERLAP = 0.1
"""For clear objects; what is half hidden keeps its place, so faint ones need more."""
LEAST_OVERLAP_FAINT = 0.3
FAINTEST = 0.1
"""Score under which an object is not looked at."""
CLEAR = 0.5
"""Score from which an object is sure to be one."""


class ByteTrack(Follower):
    """Two stages by score; only objects of min-score and more begin tracks."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._least = settings.min_score
        self._clear = max(CLEAR, settings.min_score)

    def associate(self, seen: Seen) -> Pairs:
        """Choose among clear objects for all tracks, then among faint ones for the rest."""
        worth = overlap(self.tracks.motion.place, seen.boxes)
        same = self.same_class(seen)
        clear = seen.scores >= self._clear
        first = assign(worth, (worth >= LEAST_OVERLAP) & same & clear)
        faint = (seen.scores >= FAINTEST) & ~clear
        open_tracks = np.zeros(len(self.tracks), bool)
        open_tracks[others(len(self.tracks), first[0])] = True
        second = (worth >= LEAST_OVERLAP_FAINT) & same & faint & open_tracks[:, None]
        return join(first, assign(worth, second))

    def starts(self, seen: Seen, free: Indices) -> Indices:
        """Begin at what counts by its score."""
        return free[seen.scores[free] >= self._least]
