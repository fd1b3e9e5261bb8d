"""What all trackers share: they predict, match, correct, start, number and end tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quadrat.parameters import TrackingSettings
from quadrat.predictions import Detections, Tracked
from quadrat.tracking import kalman
from quadrat.tracking.association import Pairs, enlarge, iou, unmatched
from quadrat.tracking.kalman import F64, Indices
from quadrat.tracking.motion import Motion
from quadrat.tracking.tracks import F32, Observations, Tracks

HALF_STEP = 0.5
"""Tolerance of ages, in steps: presentation times are not exact multiples of the frame interval."""
MIN_OVERLAP = 0.2
"""Smallest overlap of a predicted box and an observation that may match."""


class BaseTracker:
    """The life of a track; subclasses choose which track continues with which observation.

    A track starts at an observation that no track took. It counts, and gets its number, after `min-hits` frames in a
    row; it ends after more than `max-age` steps without an observation, or, before it counts, at the first such step.
    Numbers count up from 1 and are never reused. `min_score` is the score that an object needs by itself.
    """

    needs_embeddings = False
    history = 0
    """Number of observed boxes that each track keeps."""

    def __init__(self, tracking: TrackingSettings, min_score: float) -> None:
        self._max_age = tracking.max_age
        self._min_hits = tracking.min_hits
        self._across_classes = tracking.track_across_classes
        self._min_score = min_score
        self._next_number = 1
        self._next_serial = 0
        self.motion = Motion()
        self.tracks = self._no_tracks()

    def reset(self) -> None:
        """Drop all tracks; numbers are never reused."""
        self.motion = Motion()
        self.tracks = self._no_tracks()

    def update(self, detections: Detections, embeddings: F32 | None = None, steps: float = 1.0) -> Tracked:
        """Track the N detections of the next frame, without modifying them.

        `embeddings` (N, D) float32 of length 1 are used only by trackers that need them; a row of zeros, or with a
        value that is not finite, is unknown. `steps` is the time since
        the previous frame, in usual frame intervals: tracks move and age by it. Rows whose corners or score are not
        finite belong to no track.
        """
        observed = Observations.of(detections, embeddings if self.needs_embeddings else None)
        self._predict(steps)
        pairs = self.associate(observed)
        self.correct(pairs, observed)
        self._count_hits(pairs)
        numbers = np.full(len(detections), -1, np.int32)
        numbers[observed.rows[pairs[1]]] = self.tracks.numbers[pairs[0]]
        assigned = np.full(len(detections), -1, np.int64)
        assigned[observed.rows[pairs[1]]] = self.tracks.serials[pairs[0]]
        starting = self.startable(observed, unmatched(len(observed), pairs[1]))
        self._end_tracks()
        if len(starting):
            started = self._start_tracks(observed.select(starting))
            numbers[observed.rows[starting]] = started.numbers
            assigned[observed.rows[starting]] = started.serials
        numbers[numbers == 0] = -1
        return Tracked(replace(detections, tracks=numbers), assigned)

    def associate(self, observed: Observations) -> Pairs:
        """Choose which track continues with which observation."""
        raise NotImplementedError

    def startable(self, observed: Observations, index: Indices) -> Indices:
        """Return those of the observations at `index` that may start a track."""
        del observed
        return index

    def correct(self, pairs: Pairs, observed: Observations) -> None:
        """Correct the matched tracks by their observations."""
        index, chosen = pairs
        tracks, boxes = self.tracks, observed.boxes[chosen]
        tracks.recent[index, 0] = kalman.centres(boxes)
        self.motion.add(tracks.recent[index], kalman.sizes(tracks.state[index]))
        tracks.state[index] = kalman.correct(tracks.state[index], boxes)
        tracks.classes[index] = observed.classes[chosen]

    def candidates(self, observed: Observations) -> tuple[F64, NDArray[np.bool_]]:
        """Return the overlap (T, N), in 0..1, of predicted boxes and observations, both enlarged.

        The second value is True (T, N) for the pairs that overlap and class allow.
        """
        reach = self.motion.reach
        similarity = iou(enlarge(self.tracks.boxes, reach), enlarge(observed.boxes, reach))
        return similarity, (similarity >= MIN_OVERLAP) & self.same_class(observed)

    def same_class(self, observed: Observations) -> NDArray[np.bool_]:
        """Return True (T, N) where the classes of track and observation allow a match."""
        if self._across_classes:
            return np.ones((len(self.tracks), len(observed)), bool)
        return np.equal.outer(self.tracks.classes, observed.classes)

    def _no_tracks(self) -> Tracks:
        return Tracks.start(Observations.of(Detections.none(), None), self.history)

    def _predict(self, steps: float) -> None:
        steps = steps if steps > 0 else 0.0  # also for NaN
        tracks = self.tracks
        tracks.time_since_update += steps
        ended = tracks.time_since_update > self._max_age + 1 + HALF_STEP
        if ended.any():
            self.tracks = tracks = tracks.select(~ended)
        if len(tracks):
            tracks.state = kalman.predict(tracks.state, steps, self.motion.acceleration)
            tracks.shift_recent(steps)

    def _count_hits(self, pairs: Pairs) -> None:
        tracks, index = self.tracks, pairs[0]
        tracks.time_since_update[index] = 0
        tracks.hits[index] += 1
        self._assign_numbers(tracks)

    def _assign_numbers(self, tracks: Tracks) -> None:
        """Number the tracks that reached `min-hits`."""
        new = np.flatnonzero((tracks.numbers == 0) & (tracks.hits >= self._min_hits))
        tracks.numbers[new] = np.arange(self._next_number, self._next_number + len(new))
        self._next_number += len(new)

    def _end_tracks(self) -> None:
        tracks = self.tracks
        limit = np.where(tracks.numbers > 0, self._max_age + HALF_STEP, 0.0)
        ended = tracks.time_since_update > limit
        if ended.any():
            self.tracks = tracks.select(~ended)

    def _start_tracks(self, observed: Observations) -> Tracks:
        new = Tracks.start(observed, self.history, self._next_serial)
        self._next_serial += len(new)
        self._assign_numbers(new)
        self.tracks = self.tracks.concatenate(new) if len(self.tracks) else new
        return new
