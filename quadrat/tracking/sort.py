"""SORT: motion and overlap in one stage (after Bewley et al., Simple Online and Realtime Tracking, 2016)."""

from __future__ import annotations

from quadrat.tracking.association import Pairs, assign
from quadrat.tracking.base import BaseTracker
from quadrat.tracking.tracks import Observations


class Sort(BaseTracker):
    """Match tracks and observations so that the sum of their overlaps is greatest."""

    def associate(self, observed: Observations) -> Pairs:
        """Match by overlap."""
        return assign(*self.candidates(observed))
