"""OC-SORT: what was seen counts for more than what was predicted (after Cao et al., Observation-Centric SORT, 2023)."""

from __future__ import annotations

import numpy as np

from quadrat.tracking import kalman
from quadrat.tracking.association import Pairs, assign, join, others, overlap
from quadrat.tracking.follower import Follower
from quadrat.tracking.kalman import F64, Indices
from quadrat.tracking.tracks import Seen

LEAST_OVERLAP = 0.2
LEAST_OVERLAP_BACK = 0.5
"""With the box where a track was last seen."""
MOMENTUM = 0.1
"""Weight of the direction beside the overlap."""
SHORTEST = 0.05
"""Of the object's size: a way under it has no direction."""


class OcSort(Follower):
    """Overlap and direction, then overlap with where a track was last seen; a gap is filled in the filter."""

    trail = 4

    def associate(self, seen: Seen) -> Pairs:
        """Choose by overlap and direction, then go back to where the tracks left were last seen."""
        worth, allowed = self.candidates(seen, LEAST_OVERLAP)
        tracks, objects = np.nonzero(allowed)
        worth[tracks, objects] += MOMENTUM * self._along(seen, tracks, objects)
        first = assign(worth, allowed)
        tracks, objects = others(len(self.tracks), first[0]), others(len(seen.rows), first[1])
        worth = overlap(self.tracks.trail[tracks, 0], seen.boxes[objects])
        allowed = (worth >= LEAST_OVERLAP_BACK) & self.same_class(seen)[np.ix_(tracks, objects)]
        back = assign(worth, allowed)
        return join(first, (tracks[back[0]], objects[back[1]]))

    def correct(self, pairs: Pairs, seen: Seen) -> None:
        """Take what was seen; where a track was lost, as if it had gone straight from where it was last seen."""
        tracks, (index, chosen) = self.tracks, pairs
        boxes = seen.boxes[chosen]
        gaps = np.round(tracks.unseen[index]).astype(int)
        found = gaps > 1
        if found.any():
            again = index[found]
            start, end = tracks.trail[again, 0], boxes[found]
            tracks.state[again] = self._replay(
                tracks.frozen[again], tracks.size[again], start, end, gaps[found]
            )
        super().correct(pairs, seen)
        tracks.trail[index, 1:] = tracks.trail[index, :-1]
        tracks.trail[index, 0] = boxes
        tracks.frozen[index] = tracks.state[index]

    def _replay(self, state: F64, size: F64, start: F64, end: F64, gaps: Indices) -> F64:
        """Go the straight way of `gaps` (N,) steps from box to box, up to the prediction for the last one."""
        state = state.copy()
        for step in range(1, int(gaps.max()) + 1):
            on = gaps >= step
            part = (step / gaps[on])[:, None]
            now = kalman.predict(state[on], size[on], 1.0, self.noise)
            way = start[on] + part * (end[on] - start[on])
            between = (gaps[on] > step)[:, None, None]
            state[on] = np.where(between, kalman.correct(now, size[on], way, self.noise), now)
        return state

    def _along(self, seen: Seen, tracks: Indices, objects: Indices) -> F64:
        """Give for pairs (M,) in -1..1 how well the way to the object agrees with the track's, by their angle."""
        trail = self.tracks.trail[tracks]
        first, last, there = (_middle(b) for b in (trail[:, -1], trail[:, 0], seen.boxes[objects]))
        way, to_object = last - first, there - first
        straight = np.linalg.norm(way, axis=1)
        length = np.maximum(straight * np.linalg.norm(to_object, axis=1), np.finfo(np.float64).tiny)
        cosine = np.clip((way * to_object).sum(axis=1) / length, -1, 1)
        known = straight >= SHORTEST * kalman.sizes(trail[:, 0])
        return np.where(known, 1 - 2 * np.arccos(cosine) / np.pi, 0.0) * seen.scores[objects]


def _middle(boxes: F64) -> F64:
    """Give the middle (N, 2) of boxes (N, 4)."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2
