"""What every tracker does with its tracks: predict, correct, begin, count, end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quadrat.parameters import TrackingSettings
from quadrat.tracking import kalman
from quadrat.tracking.association import Pairs, assign, join, others, overlap
from quadrat.tracking.body import HIDDEN, excess, remember, within
from quadrat.tracking.kalman import F64, Indices, Noise
from quadrat.tracking.tracks import F32, Seen, Tracks
from quadrat.types import Detections

HALF = 0.5
"""Of a step: times of frames are not exact, and an age is told to the nearest frame."""
GATE = 20.0
"""A track does not go on with a box that lies further off (see kalman.distances): true pairs do once in 2,000."""
GATE_OUT = 4.0
"""For a part of an object that was hidden (see body.excess)."""
LEAST_WITHIN = 0.85
"""Share of such a part that must lie in the body or near it."""
ROOM = 0.08
"""Of the object's size that is near: where the hidden go is not known to the pixel, and a sliver is narrow."""
LEAST_ALONE = 0.3
"""Intersection over union of a track's predicted box and the only object there."""
JUMP = 9.0
"""Squared standard deviations from which an edge is another one than it was."""
OUTWARD = np.array([-1, -1, 1, 1])
"""Signs of the directions in which the edges of a box lead out of it."""


class Follower:
    """What all trackers share; one that is made of it says which track goes on with which object.

    A track begins at an object that none goes on with, counts and gets its number once it was seen in
    min-hits frames, without one missing between, and ends when it is unseen for more than max-age steps.
    Numbers go up from 1 and are never given twice.
    """

    needs_features = False
    noise = Noise()
    trail = 0

    def __init__(self, settings: TrackingSettings, _min_score: float = 0.0) -> None:
        self._max_age = settings.max_age
        self._min_hits = settings.min_hits
        self._across = settings.track_across_classes
        self._next = 1
        self._begun = 0
        self.takers = np.zeros(0, np.int64)
        self.tracks = self._none()

    def reset(self) -> None:
        """Forget all tracks; numbers given are not given again."""
        self.tracks = self._none()

    def update(self, detections: Detections, features: F32 | None = None, steps: float = 1.0) -> Detections:
        """Take the next frame's detections and give the same rows with their tracks, -1 where none counts.

        `features` (N, D) float32 of unit length, for a tracker that needs them; `steps` is the time since the
        last frame, in usual distances of frames: tracks move and age by it.
        """
        seen = Seen.of(detections, features if self.needs_features else None)
        self._predict(steps)
        pairs = self.associate(seen)
        pairs = join(pairs, self.come_out(seen, pairs))  # who was in sight chose first
        pairs = join(pairs, self.stay(seen, pairs))
        self.correct(pairs, seen)
        self._count(pairs)
        numbers = np.full(len(detections), -1, np.int32)
        numbers[seen.rows[pairs[1]]] = self.tracks.numbers[pairs[0]]
        self.takers = np.full(len(detections), -1, np.int64)
        self.takers[seen.rows[pairs[1]]] = self.tracks.serials[pairs[0]]
        new = self.starts(seen, others(len(seen.rows), pairs[1]))
        self._end()
        if len(new):
            begun = self._begin(seen.take(new))
            numbers[seen.rows[new]], self.takers[seen.rows[new]] = begun.numbers, begun.serials
        numbers[numbers == 0] = -1
        return replace(detections, tracks=numbers)

    def associate(self, seen: Seen) -> Pairs:
        """Choose which track goes on with which object."""
        raise NotImplementedError

    def starts(self, seen: Seen, free: Indices) -> Indices:
        """Choose which of the objects that no track took begin one."""
        del seen
        return free

    def correct(self, pairs: Pairs, seen: Seen) -> None:
        """Take what was seen into the tracks that go on."""
        index, chosen = pairs
        tracks = self.tracks
        boxes, size = seen.boxes[chosen], tracks.size[index]
        tracks.state[index] = kalman.correct(self._renewed(index, boxes), size, boxes, self.noise)
        tracks.classes[index] = seen.classes[chosen]
        self._remember(index, boxes)

    def candidates(self, seen: Seen, least: float) -> tuple[F64, NDArray[np.bool_]]:
        """Give overlaps (T, N) and which pairs are possible: by class, by overlap of at least `least`, by motion."""
        worth = overlap(self.tracks.boxes, seen.boxes)
        allowed = (worth >= least) & self.same_class(seen)
        return worth, self.reachable(seen, allowed, GATE)

    def same_class(self, seen: Seen) -> NDArray[np.bool_]:
        """Give (T, N) whether a track and an object may be one by class."""
        if self._across:
            return np.ones((len(self.tracks), len(seen.rows)), bool)
        return np.equal.outer(self.tracks.classes, seen.classes)

    def reachable(self, seen: Seen, allowed: NDArray[np.bool_], gate: float) -> NDArray[np.bool_]:
        """Take away the pairs whose distance is over the gate; `allowed` (T, N) is changed and given back."""
        tracks, boxes = np.nonzero(allowed)
        far = (
            kalman.distances(
                self.tracks.state[tracks], self.tracks.size[tracks], seen.boxes[boxes], self.noise
            )
            > gate
        )
        allowed[tracks[far], boxes[far]] = False
        return allowed

    def strays(self, seen: Seen, tracks: Indices, objects: Indices) -> F64:
        """Give squared how far objects are from being a part of a track's body, for pairs (M,)."""
        state, size = self.tracks.state[tracks], self.tracks.size[tracks]
        spread = np.sqrt(kalman.variances(state, size, self.noise))
        return excess(self.tracks.body[tracks], seen.boxes[objects], spread)

    def come_out(self, seen: Seen, pairs: Pairs) -> Pairs:
        """Choose among what would begin a track: it may be the part that shows of one that was hidden."""
        lost = others(len(self.tracks), pairs[0])
        free = self.starts(seen, others(len(seen.rows), pairs[1]))
        around = self.tracks.body[lost] + OUTWARD * ROOM * self.tracks.size[lost][:, None]
        worth = within(around, seen.boxes[free])
        allowed = (worth >= LEAST_WITHIN) & self.same_class(seen)[np.ix_(lost, free)]
        allowed &= self.may_be(seen)[np.ix_(lost, free)]
        tracks, objects = np.nonzero(allowed)
        far = self.strays(seen, lost[tracks], free[objects])
        worth[tracks, objects] *= np.exp(-far / 2)
        allowed[tracks, objects] = far <= GATE_OUT
        tracks, objects = assign(worth, allowed)
        return lost[tracks], free[objects]

    def stay(self, seen: Seen, pairs: Pairs) -> Pairs:
        """Choose among what would begin a track: it is the one that was there, if no other may be, whatever its shape.

        A box may change in one frame by more than motion explains: an animal turns, or the network is unsure.
        Others are those of its class; objects too faint to begin a track are none.
        """
        lost = others(len(self.tracks), pairs[0])
        free = self.starts(seen, others(len(seen.rows), pairs[1]))
        worth = overlap(self.tracks.boxes[lost], seen.boxes[free])
        allowed = worth >= LEAST_ALONE
        if allowed.any():
            same, clear = self.same_class(seen), self.starts(seen, np.arange(len(seen.rows)))
            of_tracks = (overlap(self.tracks.boxes[lost], seen.boxes[clear]) > 0) & same[np.ix_(lost, clear)]
            of_objects = (overlap(self.tracks.boxes, seen.boxes[free]) > 0) & same[:, free]
            allowed &= (of_tracks.sum(axis=1) == 1)[:, None] & (of_objects.sum(axis=0) == 1)
            allowed &= (same & self.may_be(seen))[np.ix_(lost, free)]
        tracks, objects = assign(worth, allowed)
        return lost[tracks], free[objects]

    def may_be(self, seen: Seen) -> NDArray[np.bool_]:
        """Give (T, N) whether a hidden track and an object may be one by what else is known of them."""
        return np.ones((len(self.tracks), len(seen.rows)), bool)

    def _renewed(self, index: Indices, boxes: F64) -> F64:
        """Give states in which edges that jump begin anew: an object is cut off or comes out of a sudden."""
        state, size = self.tracks.state[index], self.tracks.size[index]
        off = boxes - state[:, kalman.PLACE]
        jumps = np.square(off) > JUMP * kalman.variances(state, size, self.noise)
        fresh = kalman.begin(boxes, size, self.noise)
        own = off * OUTWARD > 0  # the other edges are those of what hides it
        fresh[:, kalman.SPEED] = np.where(own, np.tile(self.tracks.drift[index], 2), 0)
        return np.where(jumps[:, None], fresh, state)

    def _remember(self, index: Indices, boxes: F64) -> None:
        """Take what is seen into what is known of whole objects."""
        tracks = self.tracks
        tracks.body[index], cut = remember(tracks.body[index], boxes)
        low, high = np.split(tracks.state[index, kalman.SPEED], 2, axis=1)
        tracks.drift[index] = np.where(cut, tracks.drift[index], (low + high) / 2)

    def _hide(self, lost: NDArray[np.bool_]) -> None:
        """Let tracks that were not seen in the last frame, or long ago, go on as wholes where they were cut off."""
        tracks = self.tracks
        cut = kalman.sides(tracks.boxes[lost]) < HIDDEN * kalman.sides(tracks.body[lost])
        for row, whole in ((kalman.PLACE, tracks.body[lost]), (kalman.SPEED, np.tile(tracks.drift[lost], 2))):
            tracks.state[lost, row] = np.where(np.tile(cut, 2), whole, tracks.state[lost, row])

    def _none(self) -> Tracks:
        return Tracks.begin(Seen.of(Detections.none(), None), self.noise, self.trail)

    def _predict(self, steps: float) -> None:
        steps = steps if steps > 0 else 0.0  # NaN too
        tracks = self.tracks
        tracks.unseen += steps
        gone = tracks.unseen > self._max_age + 1 + HALF
        if gone.any():
            self.tracks = tracks = tracks.take(~gone)
        if len(tracks):
            self._hide(tracks.unseen > min(steps, 1 + HALF))
            tracks.state = kalman.predict(tracks.state, tracks.size, steps, self.noise)
            tracks.body = tracks.body + steps * np.tile(tracks.drift, 2)

    def _count(self, pairs: Pairs) -> None:
        tracks, index = self.tracks, pairs[0]
        tracks.unseen[index] = 0
        tracks.hits[index] += 1
        self._number(tracks)

    def _number(self, tracks: Tracks) -> None:
        """Give numbers to the tracks that count from now on."""
        new = np.flatnonzero((tracks.numbers == 0) & (tracks.hits >= self._min_hits))
        tracks.numbers[new] = np.arange(self._next, self._next + len(new))
        self._next += len(new)

    def _end(self) -> None:
        tracks = self.tracks
        limit = np.where(tracks.numbers > 0, self._max_age + HALF, 0.0)
        gone = tracks.unseen > limit
        if gone.any():
            self.tracks = tracks.take(~gone)

    def _begin(self, seen: Seen) -> Tracks:
        new = Tracks.begin(seen, self.noise, self.trail, self._begun)
        self._begun += len(new)
        self._number(new)
        self.tracks = self.tracks.join(new) if len(self.tracks) else new
        return new
