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
UNKNOWN_COSINE = 0.6
"""Contrast of a pair if one of the two has no embedding: about that of one object, because motion allows the pair."""
COSINE_WEIGHT = 1.5
"""Weight of the contrast beside the overlap: a clear appearance outweighs the best position."""
MOMENTUM = 0.9
"""Share of a track's mean embedding that remains after an observation with a score of 1."""
MOST_USUAL = 0.99
"""The highest cosine whose contrast may be 0."""
USUAL_CONTRAST = 0.6
"""Least mean contrast of an object with itself: if its embeddings vary too much for that, the contrast is reduced."""
KEPT = 0.99
"""Share of what is known of usual cosines that remains after each frame."""
PRIOR = 2.0
"""Weight, in pairs, of a usual cosine of 0 before the first frame."""
COMPARED = 64
"""The most objects of a frame that are compared with each other, because their pairs grow with the square."""


class MeanCosine:
    """A mean of cosines over the last frames, with an assumed value before the first."""

    def __init__(self, assumed: float) -> None:
        self._sum = PRIOR * assumed
        self._count = PRIOR

    def add(self, cosines: F32) -> None:
        """Add the cosines of a frame."""
        if cosines.size:
            self._sum = KEPT * self._sum + float(cosines.sum(dtype=np.float64))
            self._count = KEPT * self._count + cosines.size

    @property
    def value(self) -> float:
        """The mean so far."""
        return self._sum / self._count


class UsualCosines:
    """What the cosines of one network and source are like, learned while it is tracked.

    Networks differ in them: two persons have 0.75 in one and 0.2 in another, two fish of one species more. `others` is
    the mean of different objects: those of one frame that do not overlap. `same` is that of one object: a track and
    the only observation in its reach.
    """

    def __init__(self) -> None:
        self.others = MeanCosine(0.0)
        self.same = MeanCosine(1.0)

    def add_others(self, observed: Observations, same_class: NDArray[np.bool_]) -> None:
        """Add the objects of a frame; `same_class` (N, N) is True for pairs that a track could confuse."""
        rows = np.flatnonzero(observed.embeddings.any(axis=1))
        rows = rows[:: -(-len(rows) // COMPARED) or 1]
        boxes, embeddings = observed.boxes[rows], observed.embeddings[rows]
        apart = np.triu((iou(boxes, boxes) == 0) & same_class[np.ix_(rows, rows)], 1)
        self.others.add((embeddings @ embeddings.T)[apart])

    def add_same(self, cosine: F32, known: NDArray[np.bool_], near: NDArray[np.bool_]) -> None:
        """Add the pairs (T, N) that are `near` to each other and to nothing else, where both embeddings are `known`."""
        alone = near & (near.sum(axis=0) == 1) & (near.sum(axis=1, keepdims=True) == 1)
        self.same.add(cosine[alone & known])

    @property
    def zero(self) -> float:
        """The cosine, in 0..1, whose contrast is 0: that of different objects, or less if one object varies much."""
        varies = (self.same.value - USUAL_CONTRAST) / (1 - USUAL_CONTRAST)
        return min(max(min(self.others.value, varies), 0.0), MOST_USUAL)


class DeepSort(BaseTracker):
    """Match overlap and appearance in one assignment; a sure appearance needs no overlap.

    Appearances are compared by contrast, (c - z) / (1 - z), where c is the cosine of two embeddings and z the usual
    one of different objects in this source: 1 for equal embeddings, about 0 for different objects, whatever the
    embeddings come from. Where an observation or a track has no embedding, motion alone decides.
    """

    needs_embeddings = True

    def __init__(self, tracking: TrackingSettings, min_score: float) -> None:
        super().__init__(tracking, min_score)
        self._usual = UsualCosines()

    def reset(self) -> None:
        """Drop all tracks, and what is known of the embeddings; numbers are never reused."""
        super().reset()
        self._usual = UsualCosines()

    def associate(self, observed: Observations) -> Pairs:
        """Match by the weighted sum of overlap and contrast."""
        similarity, allowed = self.candidates(observed)
        if not observed.embeddings.shape[1]:
            return assign(similarity, allowed)
        contrast, known = self._contrast(observed, allowed)
        if not known.any():
            return assign(similarity, allowed)
        allowed &= (contrast >= MIN_COSINE) | ~known
        sure = known & (contrast >= MIN_SURE_COSINE) & self.same_class(observed) & ~allowed
        sure &= _distinct(contrast)
        tracks, objects = np.nonzero(sure)
        distances = kalman.gating_distances(self.tracks.state[tracks], observed.boxes[objects])
        allowed[tracks, objects] |= distances <= FAR_GATE
        return assign(similarity + COSINE_WEIGHT * np.maximum(contrast, 0), allowed)

    def _contrast(self, observed: Observations, near: NDArray[np.bool_]) -> tuple[F32, NDArray[np.bool_]]:
        """Return the contrast (T, N) of tracks and observations, and True (T, N) where both have an embedding.

        `near` (T, N) is True for the pairs that motion allows.
        """
        tracks = self.tracks
        tracks.widen_embeddings(observed.embeddings.shape[1])
        known = np.logical_and.outer(tracks.embeddings.any(axis=1), observed.embeddings.any(axis=1))
        cosine: F32 = tracks.embeddings @ observed.embeddings.T
        zero = np.float32(self._usual.zero)  # of the frames before this one
        self._usual.add_others(observed, self._may_be_one(observed))
        self._usual.add_same(cosine, known, near)
        return np.where(known, (cosine - zero) / (1 - zero), np.float32(UNKNOWN_COSINE)), known

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
