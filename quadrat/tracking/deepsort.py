"""DeepSORT: motion and appearance.

After Wojke et al., Simple Online and Realtime Tracking with a Deep Association Metric (2017).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quadrat.tracking import kalman
from quadrat.tracking.association import Pairs, assign
from quadrat.tracking.base import BaseTracker
from quadrat.tracking.tracks import F32, Observations

FAR_GATE = 100.0
"""Greatest squared distance of a match by appearance alone (see kalman.gating_distances)."""
MIN_SURE_COSINE = 0.6
"""Cosine of two embeddings from which they may match by appearance alone."""
MIN_COSINE = 0.1
"""Cosine of two embeddings below which they never match, whatever the overlap."""
SURE_MARGIN = 0.1
"""By how much the cosine of a match by appearance alone must exceed the next best of its track and observation."""
COSINE_WEIGHT = 1.5
"""Weight of the cosine beside the overlap: a clear appearance outweighs the best position."""
MOMENTUM = 0.9
"""Share of a track's mean embedding that remains after an observation with a score of 1."""


class DeepSort(BaseTracker):
    """Match overlap and appearance in one assignment; a sure appearance needs no overlap.

    Without embeddings, and for tracks that have none yet, motion alone decides.
    """

    needs_embeddings = True

    def associate(self, observed: Observations) -> Pairs:
        """Match by the weighted sum of overlap and cosine."""
        similarity, allowed = self.candidates(observed)
        if not observed.embeddings.shape[1]:
            return assign(similarity, allowed)
        cosine = self._cosine(observed)
        unknown = np.abs(self.tracks.embeddings).sum(axis=1, keepdims=True) == 0
        allowed &= (cosine >= MIN_COSINE) | unknown
        sure = (cosine >= MIN_SURE_COSINE) & self.same_class(observed) & ~allowed & _distinct(cosine)
        tracks, objects = np.nonzero(sure)
        distances = kalman.gating_distances(self.tracks.state[tracks], observed.boxes[objects])
        allowed[tracks, objects] |= distances <= FAR_GATE
        return assign(similarity + COSINE_WEIGHT * np.maximum(cosine, 0), allowed)

    def _cosine(self, observed: Observations) -> F32:
        self.tracks.widen_embeddings(observed.embeddings.shape[1])
        cosine: F32 = self.tracks.embeddings @ observed.embeddings.T
        return cosine

    def correct(self, pairs: Pairs, observed: Observations) -> None:
        """Correct the matched tracks, and move their mean embeddings by the score of each observation.

        A faint object is usually half hidden, and its embedding then describes what hides it.
        """
        super().correct(pairs, observed)
        index, chosen = pairs
        if observed.embeddings.shape[1]:
            share = ((1 - MOMENTUM) * observed.scores[chosen])[:, None]
            mean = (1 - share) * self.tracks.embeddings[index] + share * observed.embeddings[chosen]
            length = np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), np.finfo(np.float32).tiny)
            self.tracks.embeddings[index] = (mean / length).astype(np.float32)


def _distinct(cosine: F32) -> NDArray[np.bool_]:
    """Return True (T, N) where a pair is, by SURE_MARGIN, the best of both its track and its observation."""
    result = np.ones(cosine.shape, bool)
    for axis in (0, 1):
        if cosine.shape[axis] > 1:
            second, best = np.moveaxis(np.partition(cosine, -2, axis=axis), axis, 0)[-2:]
            threshold = np.maximum(best, second + np.float32(SURE_MARGIN))
            result &= cosine >= np.expand_dims(threshold, axis)
    return result
