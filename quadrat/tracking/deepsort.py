"""Motion and look (after Wojke et al., Simple Online and Realtime Tracking with a Deep Association Metric, 2017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quadrat.tracking.association import Pairs, assign
from quadrat.tracking.follower import Follower
from quadrat.tracking.tracks import F32, Seen

LEAST_OVERLAP = 0.2
FAR_GATE = 100.0
"""Where the look is sure, the place may be further off than the motion alone would let it (see kalman.distances)."""
ALIKE = 0.6
"""Cosine of two looks from which they are surely of one object."""
UNLIKE = 0.1
"""Cosine under which they are not, whatever the overlap."""
AHEAD = 0.1
"""By how much a sure look must be more alike than the track's and the object's next best."""
WEIGHT = 1.5
"""Of the look beside the overlap: a clear look outweighs the best place."""
KEEP = 0.9
"""Part of a track's mean look that stays when one of full score comes in."""


class DeepSort(Follower):
    """Overlap and look in one assignment; a look that is sure enough needs no overlap.

    Frames without features, and tracks that began in them, go by motion alone.
    """

    needs_features = True

    def associate(self, seen: Seen) -> Pairs:
        """Choose by the sum of overlap and likeness."""
        worth, allowed = self.candidates(seen, LEAST_OVERLAP)
        if not seen.looks.shape[1]:
            return assign(worth, allowed)
        cosine = self._cosine(seen)
        allowed &= self.may_be(seen)
        sure = (cosine >= ALIKE) & self.same_class(seen) & ~allowed & _singular(cosine)
        tracks, objects = np.nonzero(sure)
        parts = self.strays(seen, tracks, objects) <= FAR_GATE
        allowed |= self.reachable(seen, sure, FAR_GATE)
        allowed[tracks[parts], objects[parts]] = True
        return assign(worth + WEIGHT * np.maximum(cosine, 0), allowed)

    def may_be(self, seen: Seen) -> NDArray[np.bool_]:
        """Give (T, N) whether the looks, where there are any, let both be one."""
        if not seen.looks.shape[1]:
            return super().may_be(seen)
        cosine = self._cosine(seen)
        unknown = np.abs(self.tracks.looks).sum(axis=1, keepdims=True) == 0
        possible: NDArray[np.bool_] = (cosine >= UNLIKE) | unknown
        return possible

    def _cosine(self, seen: Seen) -> F32:
        self.tracks.widen(seen.looks.shape[1])
        cosine: F32 = self.tracks.looks @ seen.looks.T
        return cosine

    def correct(self, pairs: Pairs, seen: Seen) -> None:
        """Take what was seen, its look by its score: a faint object is half hidden by another one's look."""
        super().correct(pairs, seen)
        index, chosen = pairs
        if seen.looks.shape[1]:
            part = ((1 - KEEP) * seen.scores[chosen])[:, None]
            mean = (1 - part) * self.tracks.looks[index] + part * seen.looks[chosen]
            length = np.linalg.norm(mean, axis=1, keepdims=True)
            self.tracks.looks[index] = (mean / np.maximum(length, np.finfo(np.float32).tiny)).astype(
                np.float32
            )


def _singular(cosine: F32) -> NDArray[np.bool_]:
    """Give which pairs (T, N) are, by AHEAD, the best of their track and of their object."""
    result = np.ones(cosine.shape, bool)
    for axis in (0, 1):
        if cosine.shape[axis] > 1:
            second, first = np.moveaxis(np.partition(cosine, -2, axis=axis), axis, 0)[-2:]
            result &= cosine >= np.expand_dims(np.maximum(first, second + np.float32(AHEAD)), axis)
    return result
