"""What all trackers share: they predict, match, correct, start, number and end tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quadrat.parameters import TrackingSettings
from quadrat.tracking import kalman
from quadrat.tracking.amodal import CUT_SIDE, containment, part_distance, update_amodal
from quadrat.tracking.association import Pairs, assign, concatenate, iou, unmatched
from quadrat.tracking.kalman import F64, Indices, Noise
from quadrat.tracking.tracks import F32, Observations, Tracks
from quadrat.types import Detections, Tracked

HALF_STEP = 0.5
"""Tolerance of ages, in steps: presentation times are not exact multiples of the frame interval."""
GATE = 20.0
"""Greatest gating distance (kalman.gating_distances) of a match; 1 in 2,000 true matches lies beyond it."""
REAPPEARING_GATE = 4.0
"""Greatest part distance (amodal.part_distance) of a box that may be a part of a lost object."""
MIN_CONTAINMENT = 0.85
"""Smallest share of such a box that must lie in the amodal box, enlarged by AMODAL_MARGIN."""
AMODAL_MARGIN = 0.08
"""Share of the object's size: the position of a hidden object is not known to the pixel."""
MIN_ISOLATED_IOU = 0.3
"""Smallest intersection over union of a track's predicted box and the only object there."""
JUMP_GATE = 9.0
"""Squared standard deviations beyond which an edge is not a continuation of the track's edge."""
OUTWARD = np.array([-1, -1, 1, 1])
"""Signs of the outward directions of x0, y0, x1, y1."""


class BaseTracker:
    """The life of a track; subclasses choose which track continues with which observation.

    A track starts at an observation that no track took. It counts, and gets its number, after `min-hits` frames in a
    row; it ends after more than `max-age` steps without an observation, or, before it counts, at the first such step.
    Numbers count up from 1 and are never reused. `min_score` is the score that an object needs by itself.
    """

    needs_embeddings = False
    noise = Noise()
    history = 0
    """Number of observed boxes that each track keeps."""

    def __init__(self, tracking: TrackingSettings, min_score: float) -> None:
        self._max_age = tracking.max_age
        self._min_hits = tracking.min_hits
        self._across_classes = tracking.track_across_classes
        self._min_score = min_score
        self._next_number = 1
        self._next_serial = 0
        self.tracks = self._no_tracks()

    def reset(self) -> None:
        """Drop all tracks; numbers are never reused."""
        self.tracks = self._no_tracks()

    def update(self, detections: Detections, embeddings: F32 | None = None, steps: float = 1.0) -> Tracked:
        """Track the N detections of the next frame, without modifying them.

        `embeddings` (N, D) float32 of length 1 are used only by trackers that need them. `steps` is the time since
        the previous frame, in usual frame intervals: tracks move and age by it. Rows whose corners or score are not
        finite belong to no track.
        """
        observed = Observations.of(detections, embeddings if self.needs_embeddings else None)
        self._predict(steps)
        pairs = self.associate(observed)
        pairs = concatenate(pairs, self.match_reappearing(observed, pairs))  # visible objects choose first
        pairs = concatenate(pairs, self.match_isolated(observed, pairs))
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
        tracks = self.tracks
        boxes, size = observed.boxes[chosen], tracks.size[index]
        tracks.state[index] = kalman.correct(
            self._restart_jumped_edges(index, boxes), size, boxes, self.noise
        )
        tracks.classes[index] = observed.classes[chosen]
        self._update_amodal(index, boxes)

    def candidates(self, observed: Observations, min_iou: float) -> tuple[F64, NDArray[np.bool_]]:
        """Return the intersection over union (T, N) and which pairs (T, N) class, overlap and motion allow."""
        similarity = iou(self.tracks.boxes, observed.boxes)
        allowed = (similarity >= min_iou) & self.same_class(observed)
        return similarity, self.within_gate(observed, allowed, GATE)

    def same_class(self, observed: Observations) -> NDArray[np.bool_]:
        """Return True (T, N) where the classes of track and observation allow a match."""
        if self._across_classes:
            return np.ones((len(self.tracks), len(observed)), bool)
        return np.equal.outer(self.tracks.classes, observed.classes)

    def within_gate(
        self, observed: Observations, allowed: NDArray[np.bool_], gate: float
    ) -> NDArray[np.bool_]:
        """Return `allowed` (T, N) without the pairs whose gating distance is above `gate`."""
        tracks, objects = np.nonzero(allowed)
        state, size = self.tracks.state[tracks], self.tracks.size[tracks]
        near = kalman.gating_distances(state, size, observed.boxes[objects], self.noise) <= gate
        result = np.zeros_like(allowed)
        result[tracks[near], objects[near]] = True
        return result

    def part_distances(self, observed: Observations, tracks: Indices, objects: Indices) -> F64:
        """Return the part distances (M,) of the observations `objects` (M,) from the `tracks` (M,)."""
        state, size = self.tracks.state[tracks], self.tracks.size[tracks]
        deviations = np.sqrt(kalman.innovation_variances(state, size, self.noise))
        return part_distance(self.tracks.amodal[tracks], observed.boxes[objects], deviations)

    def match_reappearing(self, observed: Observations, pairs: Pairs) -> Pairs:
        """Match lost tracks with unmatched observations that may be a visible part of a hidden object.

        Only observations that would otherwise start a track take part.
        """
        lost = unmatched(len(self.tracks), pairs[0])
        free = self.startable(observed, unmatched(len(observed), pairs[1]))
        enlarged = self.tracks.amodal[lost] + OUTWARD * AMODAL_MARGIN * self.tracks.size[lost][:, None]
        similarity = containment(enlarged, observed.boxes[free])
        allowed = (similarity >= MIN_CONTAINMENT) & self.same_class(observed)[np.ix_(lost, free)]
        allowed &= self.compatible(observed)[np.ix_(lost, free)]
        tracks, objects = np.nonzero(allowed)
        distances = self.part_distances(observed, lost[tracks], free[objects])
        similarity[tracks, objects] *= np.exp(-distances / 2)
        allowed[tracks, objects] = distances <= REAPPEARING_GATE
        tracks, objects = assign(similarity, allowed)
        return lost[tracks], free[objects]

    def match_isolated(self, observed: Observations, pairs: Pairs) -> Pairs:
        """Match a lost track with an unmatched observation if each overlaps with no other, whatever the box's shape.

        A box may change within one frame by more than motion explains: an animal turns, or the network is unsure.
        Only tracks and observations of the same class count as others, and observations too faint to start a track
        do not count.
        """
        lost = unmatched(len(self.tracks), pairs[0])
        free = self.startable(observed, unmatched(len(observed), pairs[1]))
        similarity = iou(self.tracks.boxes[lost], observed.boxes[free])
        allowed = similarity >= MIN_ISOLATED_IOU
        if allowed.any():
            same, clear = self.same_class(observed), self.startable(observed, np.arange(len(observed)))
            near_tracks = (iou(self.tracks.boxes[lost], observed.boxes[clear]) > 0) & same[
                np.ix_(lost, clear)
            ]
            near_objects = (iou(self.tracks.boxes, observed.boxes[free]) > 0) & same[:, free]
            allowed &= (near_tracks.sum(axis=1) == 1)[:, None] & (near_objects.sum(axis=0) == 1)
            allowed &= (same & self.compatible(observed))[np.ix_(lost, free)]
        tracks, objects = assign(similarity, allowed)
        return lost[tracks], free[objects]

    def compatible(self, observed: Observations) -> NDArray[np.bool_]:
        """Return True (T, N) where nothing but class, position and shape speaks against a match."""
        return np.ones((len(self.tracks), len(observed)), bool)

    def _restart_jumped_edges(self, index: Indices, boxes: F64) -> F64:
        """Return states in which edges that jump start anew: an object is suddenly cut off, or reappears."""
        state, size = self.tracks.state[index], self.tracks.size[index]
        offset = boxes - state[:, kalman.POSITION]
        jumped = np.square(offset) > JUMP_GATE * kalman.innovation_variances(state, size, self.noise)
        fresh = kalman.initiate(boxes, size, self.noise)
        own = offset * OUTWARD > 0  # an edge that jumps inward belongs to what hides the object
        fresh[:, kalman.VELOCITY] = np.where(own, np.tile(self.tracks.velocity[index], 2), 0)
        return np.where(jumped[:, None], fresh, state)

    def _update_amodal(self, index: Indices, boxes: F64) -> None:
        """Update amodal boxes, and velocities on the axes on which the object is visible as a whole."""
        tracks = self.tracks
        tracks.amodal[index], cut = update_amodal(tracks.amodal[index], boxes)
        low, high = np.split(tracks.state[index, kalman.VELOCITY], 2, axis=1)
        tracks.velocity[index] = np.where(cut, tracks.velocity[index], (low + high) / 2)

    def _restore_hidden(self, lost: NDArray[np.bool_]) -> None:
        """Let lost tracks continue as whole objects on the axes on which they were cut off when last observed."""
        tracks = self.tracks
        cut = kalman.sides(tracks.boxes[lost]) < CUT_SIDE * kalman.sides(tracks.amodal[lost])
        velocity = np.tile(tracks.velocity[lost], 2)
        for row, whole in ((kalman.POSITION, tracks.amodal[lost]), (kalman.VELOCITY, velocity)):
            tracks.state[lost, row] = np.where(np.tile(cut, 2), whole, tracks.state[lost, row])

    def _no_tracks(self) -> Tracks:
        return Tracks.start(Observations.of(Detections.none(), None), self.noise, self.history)

    def _predict(self, steps: float) -> None:
        steps = steps if steps > 0 else 0.0  # also for NaN
        tracks = self.tracks
        tracks.time_since_update += steps
        ended = tracks.time_since_update > self._max_age + 1 + HALF_STEP
        if ended.any():
            self.tracks = tracks = tracks.select(~ended)
        if len(tracks):
            self._restore_hidden(tracks.time_since_update > min(steps, 1 + HALF_STEP))
            tracks.state = kalman.predict(tracks.state, tracks.size, steps, self.noise)
            tracks.amodal = tracks.amodal + steps * np.tile(tracks.velocity, 2)

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
        new = Tracks.start(observed, self.noise, self.history, self._next_serial)
        self._next_serial += len(new)
        self._assign_numbers(new)
        self.tracks = self.tracks.concatenate(new) if len(self.tracks) else new
        return new
