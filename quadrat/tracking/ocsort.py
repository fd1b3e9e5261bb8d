"""OC-SORT: observations count for more than predictions.

After Cao et al., Observation-Centric SORT: Rethinking SORT for Robust Multi-Object Tracking (2023).
"""

from __future__ import annotations

import numpy as np

from quadrat.tracking import kalman
from quadrat.tracking.association import Pairs, assign, concatenate, iou, unmatched
from quadrat.tracking.base import BaseTracker
from quadrat.tracking.kalman import F64, Indices
from quadrat.tracking.tracks import Observations

MIN_RECOVERY_IOU = 0.5
"""Smallest intersection over union of a track's last observed box and an observation that may match."""
DIRECTION_WEIGHT = 0.1
"""Weight of the consistency of direction beside the overlap."""
MIN_DISPLACEMENT = 0.05
"""Share of the object's size; a shorter displacement has no direction."""


class OcSort(BaseTracker):
    """Match by overlap and direction, then by overlap with the last observed box.

    When a track is found again, the filter replays the gap along a straight line (observation-centric re-update).
    """

    history = 4

    def associate(self, observed: Observations) -> Pairs:
        """Match by overlap and direction, then the tracks that are left by their last observed boxes."""
        similarity, allowed = self.candidates(observed)
        tracks, objects = np.nonzero(allowed)
        similarity[tracks, objects] += DIRECTION_WEIGHT * self._consistency(observed, tracks, objects)
        first = assign(similarity, allowed)
        lost, free = unmatched(len(self.tracks), first[0]), unmatched(len(observed), first[1])
        similarity = iou(self.tracks.history[lost, 0], observed.boxes[free])
        allowed = (similarity >= MIN_RECOVERY_IOU) & self.same_class(observed)[np.ix_(lost, free)]
        tracks, objects = assign(similarity, allowed)
        return concatenate(first, (lost[tracks], free[objects]))

    def correct(self, pairs: Pairs, observed: Observations) -> None:
        """Correct the matched tracks; replay the gaps of those that were lost."""
        tracks, (index, chosen) = self.tracks, pairs
        boxes = observed.boxes[chosen]
        gaps = np.round(tracks.time_since_update[index]).astype(int)
        found = gaps > 1
        if found.any():
            again = index[found]
            tracks.state[again] = self._replay(
                tracks.observed_state[again],
                tracks.history[again, 0],
                boxes[found],
                gaps[found],
            )
        super().correct(pairs, observed)
        tracks.history[index, 1:] = tracks.history[index, :-1]
        tracks.history[index, 0] = boxes
        tracks.observed_state[index] = tracks.state[index]

    def _replay(self, state: F64, start: F64, end: F64, gaps: Indices) -> F64:
        """Run the filter over `gaps` (N,) steps with boxes on a straight line from `start` to `end`, both (N, 4).

        Returns the states (N, 5, 4) predicted for the last step, before the correction by `end`.
        """
        state = state.copy()
        for step in range(1, int(gaps.max()) + 1):
            running = gaps >= step
            share = (step / gaps[running])[:, None]
            predicted = kalman.predict(state[running], 1.0, self.motion.acceleration)
            boxes = start[running] + share * (end[running] - start[running])
            corrected = kalman.correct(predicted, boxes)
            before_end = (gaps[running] > step)[:, None, None]
            state[running] = np.where(before_end, corrected, predicted)
        return state

    def _consistency(self, observed: Observations, tracks: Indices, objects: Indices) -> F64:
        """Return, for M pairs, how well the direction to the observation agrees with the track's, times its score.

        1 is the same direction, 0 a right angle and -1 the opposite one, linear in the angle (M,). It is 0 for a
        track that hardly moved.
        """
        history = self.tracks.history[tracks]
        oldest, newest = kalman.centres(history[:, -1]), kalman.centres(history[:, 0])
        displacement, to_object = newest - oldest, kalman.centres(observed.boxes[objects]) - oldest
        distance = np.linalg.norm(displacement, axis=1)
        lengths = np.maximum(distance * np.linalg.norm(to_object, axis=1), np.finfo(np.float64).tiny)
        cosine = np.clip((displacement * to_object).sum(axis=1) / lengths, -1, 1)
        moved = distance >= MIN_DISPLACEMENT * np.sqrt(kalman.sides(history[:, 0]).prod(axis=1))
        return np.where(moved, 1 - 2 * np.arccos(cosine) / np.pi, 0.0) * observed.scores[objects]
