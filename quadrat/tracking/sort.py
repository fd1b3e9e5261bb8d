"""SORT: motion and overlap, one stage (after Bewley et al., Simple Online and Realtime Tracking, 2016)."""

from __future__ import annotations

from quadrat.tracking.association import Pairs, assign
from quadrat.tracking.follower import Follower
from quadrat.tracking.tracks import Seen

LEAST_OVERLAP = 0.2
"""Intersection over union of a predicted box and an object that may be one."""


class Sort(Follower):
    """Every object goes on the track whose predicted box it overlaps, so that the overlaps' sum is greatest."""

    def associate(self, seen: Seen) -> Pairs:
        """Choose by overlap."""
        return assign(*self.candidates(seen, LEAST_OVERLAP))
