"""DeepSORT: motion and appearance.

After Wojke et al., Simple Online and Realtime Tracking with a Deep Association Metric (2017).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quadrat.parameters import TrackingSettings
from quadrat.tracking import kalman
from quadrat.tracking.association import Pairs, assign, iou
from quadrat.tracking.base import BaseTracker
from quadrat.tracking.tracks import F32, Observations

FAR_GATE = 100.0
"""Greatest squared distance of a match by appearance alone (see kalman.gating_distances)."""
MIN_SURE_COSINE = 0.6
"""Contrast of two embeddings from which they may match by appearance alone."""
MIN_COSINE = 0.1
"""Contrast of two embeddings below which they never match, whatever the overlap."""
SURE_MARGIN = 0.1
"""By how much the contrast of a match by appearance alone must exceed the next best of its track and observation."""
UNKNOWN_COSINE = 0.4
"""Contrast of a pair of which one has no embedding: between that of one object, and 0 of two."""
COSINE_WEIGHT = 1.5
"""Weight of the contrast beside the overlap: a clear appearance outweighs the best position."""
MOMENTUM = 0.9
"""Share of a track's mean embedding that remains after an observation with a score of 1."""
MOST_USUAL = 0.98
"""The highest usual cosine: above it, the embeddings hardly differ, and their noise would decide."""
KEPT = 0.99
"""Share of what is known of the usual cosine that remains after each frame."""
PRIOR = 10.0
"""Weight, in pairs, of a usual cosine of 0 before the first frame."""
COMPARED = 64
"""The most objects of a frame that are compared with each other, because their pairs grow with the square."""


class UsualCosine:
    """The mean cosine of two different objects, learned from objects that are in one frame and do not overlap.

    Networks differ in it: of two persons it is 0.75 in one and 0.2 in another, of two fish of a species more.
    """

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = PRIOR

    def add(self, observed: Observations, same_class: NDArray[np.bool_]) -> None:
        """Add the objects of a frame; `same_class` (N, N) is True for pairs that a track could confuse."""
        rows = np.flatnonzero(observed.embeddings.any(axis=1))
        rows = rows[:: -(-len(rows) // COMPARED) or 1]
        if len(rows) < 2:
            return
        boxes, embeddings = observed.boxes[rows], observed.embeddings[rows]
        apart = np.triu((iou(boxes, boxes) == 0) & same_class[np.ix_(rows, rows)], 1)
        cosines = (embeddings @ embeddings.T)[apart]
        if not cosines.size:
            return
        self._sum = KEPT * self._sum + float(cosines.sum(dtype=np.float64))
        self._count = KEPT * self._count + cosines.size

    @property
    def value(self) -> float:
        """The mean so far, in 0..MOST_USUAL."""
        return min(max(self._sum / self._count, 0.0), MOST_USUAL)


class DeepSort(BaseTracker):
    """Match overlap and appearance in one assignment; a sure appearance needs no overlap.

    Appearances are compared by contrast, (c - u) / (1 - u), where c is the cosine of two embeddings and u the usual
    one of different objects in this source: 1 for equal embeddings, about 0 for different objects, whatever the
    embeddings come from. Where an observation or a track has no embedding, motion alone decides.
    """

    needs_embeddings = True

    def __init__(self, tracking: TrackingSettings, min_score: float) -> None:
        super().__init__(tracking, min_score)
        self._usual = UsualCosine()

    def reset(self) -> None:
        """Drop all tracks, and what is known of the embeddings; numbers are never reused."""
        super().reset()
        self._usual = UsualCosine()

    def associate(self, observed: Observations) -> Pairs:
        """Match by the weighted sum of overlap and contrast."""
        similarity, allowed = self.candidates(observed)
        if not observed.embeddings.shape[1]:
            return assign(similarity, allowed)
        contrast, known = self._contrast(observed)
        allowed &= (contrast >= MIN_COSINE) | ~known
        sure = known & (contrast >= MIN_SURE_COSINE) & self.same_class(observed) & ~allowed
        sure &= _distinct(contrast)
        tracks, objects = np.nonzero(sure)
        distances = kalman.gating_distances(self.tracks.state[tracks], observed.boxes[objects])
        allowed[tracks, objects] |= distances <= FAR_GATE
        return assign(similarity + COSINE_WEIGHT * np.maximum(contrast, 0), allowed)

    def _contrast(self, observed: Observations) -> tuple[F32, NDArray[np.bool_]]:
        """Return the contrast (T, N) of tracks and observations, and True (T, N) where both have an embedding."""
        self._usual.add(observed, self._may_be_one(observed))
        tracks = self.tracks
        tracks.widen_embeddings(observed.embeddings.shape[1])
        known = np.logical_and.outer(tracks.embeddings.any(axis=1), observed.embeddings.any(axis=1))
        usual = np.float32(self._usual.value)
        contrast: F32 = (tracks.embeddings @ observed.embeddings.T - usual) / (1 - usual)
        contrast[~known] = UNKNOWN_COSINE
        return contrast, known

    def _may_be_one(self, observed: Observations) -> NDArray[np.bool_]:
        """Return True (N, N) where the classes of two observations allow that one track takes both in turn."""
        if self._across_classes:
            return np.ones((len(observed), len(observed)), bool)
        return np.equal.outer(observed.classes, observed.classes)

    def correct(self, pairs: Pairs, observed: Observations) -> None:
        """Correct the matched tracks, and move their mean embeddings by the score of each observation.

        A faint object is usually half hidden, and its embedding then describes what hides it. An observation without
        an embedding leaves the mean as it is.
        """
        super().correct(pairs, observed)
        if not observed.embeddings.shape[1]:
            return
        seen = observed.embeddings[pairs[1]].any(axis=1)
        index, chosen = pairs[0][seen], pairs[1][seen]
        share = ((1 - MOMENTUM) * observed.scores[chosen])[:, None]
        mean = (1 - share) * self.tracks.embeddings[index] + share * observed.embeddings[chosen]
        length = np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        self.tracks.embeddings[index] = (mean / length).astype(np.float32)


def _distinct(contrast: F32) -> NDArray[np.bool_]:
    """Return True (T, N) where a pair is, by SURE_MARGIN, the best of both its track and its observation."""
    result = np.ones(contrast.shape, bool)
    for axis in (0, 1):
        if contrast.shape[axis] > 1:
            second, best = np.moveaxis(np.partition(contrast, -2, axis=axis), axis, 0)[-2:]
            threshold = np.maximum(best, second + np.float32(SURE_MARGIN))
            result &= contrast >= np.expand_dims(threshold, axis)
    return result
