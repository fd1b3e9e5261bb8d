"""The live tracks as columns, and what every tracker does with them: predict, correct, begin, count, end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quadrat.settings import Settings
from quadrat.tracking.association import Indices, Pairs, others
from quadrat.tracking.kalman import F64, Motion, Noise, to_centres
from quadrat.types import Detections

HALF = 0.5
"""Of a step: times of frames are not exact, and an age is told to the nearest frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame's objects that can be followed, N of them.

    `rows` are their rows in the detections; `boxes` (N, 4) float64 in centre form; `features` (N, D)
    of unit length, D = 0 where there are none.
    """

    rows: Indices
    boxes: F64
    scores: NDArray[np.float32]
    classes: NDArray[np.int32]
    features: NDArray[np.float32]

    def take(self, index: Indices) -> Seen:
        """Select objects by indices."""
        return Seen(
            self.rows[index], self.boxes[index], self.scores[index], self.classes[index], self.features[index]
        )


@dataclass(slots=True, eq=False)
class Tracks:
    """The live tracks, N of them: `numbers` are 0 until a track counts, `unseen` is in steps."""

    motion: Motion
    numbers: NDArray[np.int32]
    classes: NDArray[np.int32]
    hits: NDArray[np.int32]
    unseen: F64

    @classmethod
    def begin(cls, seen: Seen, noise: Noise) -> Tracks:
        """Start a track at each object."""
        count = len(seen.rows)
        return cls(
            Motion.begin(seen.boxes, noise),
            np.zeros(count, np.int32),
            seen.classes.copy(),
            np.ones(count, np.int32),
            np.zeros(count),
        )

    def __len__(self) -> int:
        """Count the tracks."""
        return len(self.numbers)

    def take(self, index: NDArray[np.bool_]) -> Tracks:
        """Select tracks by a mask."""
        return Tracks(
            self.motion.take(index),
            self.numbers[index],
            self.classes[index],
            self.hits[index],
            self.unseen[index],
        )

    def join(self, other: Tracks) -> Tracks:
        """Put other tracks behind these."""
        return Tracks(
            self.motion.join(other.motion),
            np.concatenate([self.numbers, other.numbers]),
            np.concatenate([self.classes, other.classes]),
            np.concatenate([self.hits, other.hits]),
            np.concatenate([self.unseen, other.unseen]),
        )


class Follower:
    """What all trackers share; one that is made of it says which track goes on with which object.

    A track begins at an object that none goes on with, counts and gets its number once it was seen in
    min-hits frames, without one missing between, and ends when it is unseen for more than max-age steps.
    Numbers go up from 1 and are never given twice.
    """

    needs_features = False
    noise = Noise()

    def __init__(self, settings: Settings) -> None:
        self._max_age = settings.max_age
        self._min_hits = settings.min_hits
        self._across = settings.track_across_classes
        self._next = 1
        self.reset()

    def reset(self) -> None:
        """Forget all tracks; numbers given are not given again."""
        nothing = _seen(Detections.none(), None)
        self.tracks = self.begin(nothing)

    def update(
        self, detections: Detections, features: NDArray[np.float32] | None = None, steps: float = 1.0
    ) -> Detections:
        """Take the next frame's detections and give the same rows with their tracks, -1 where none counts.

        `features` (N, D) float32 of unit length, for a tracker that needs them; `steps` is the time since the
        last frame, in usual distances of frames: tracks move and age by it.
        """
        seen = _seen(detections, features if self.needs_features else None)
        self._predict(steps)
        pairs = self.associate(seen)
        self.correct(pairs, seen)
        self._count(pairs)
        numbers = np.full(len(detections), -1, np.int32)
        numbers[seen.rows[pairs[1]]] = self.tracks.numbers[pairs[0]]
        new = self.starts(seen, others(len(seen.rows), pairs[1]))
        self._end()
        if len(new):
            numbers[seen.rows[new]] = self._begin(seen.take(new))
        numbers[numbers == 0] = -1
        return replace(detections, tracks=numbers)

    def associate(self, seen: Seen) -> Pairs:
        """Choose which track goes on with which object."""
        raise NotImplementedError

    def starts(self, seen: Seen, free: Indices) -> Indices:
        """Choose which of the objects that no track took begin one."""
        del seen
        return free

    def begin(self, seen: Seen) -> Tracks:
        """Start a track at each object."""
        return Tracks.begin(seen, self.noise)

    def correct(self, pairs: Pairs, seen: Seen) -> None:
        """Take what was seen into the tracks that go on."""
        index, chosen = pairs
        motion = self.tracks.motion.take(index)
        motion.correct(seen.boxes[chosen], self.noise)
        self.tracks.motion.put(index, motion)
        self.tracks.classes[index] = seen.classes[chosen]

    def same_class(self, seen: Seen, tracks: Indices | slice = slice(None)) -> NDArray[np.bool_]:
        """Give (T, N) whether a track and an object may be one, by their classes."""
        if self._across:
            return np.ones((len(self.tracks.classes[tracks]), len(seen.classes)), bool)
        return np.equal.outer(self.tracks.classes[tracks], seen.classes)

    def _predict(self, steps: float) -> None:
        steps = steps if steps > 0 else 0.0  # NaN too
        tracks = self.tracks
        tracks.unseen += steps
        gone = tracks.unseen > self._max_age + 1 + HALF
        if gone.any():
            self.tracks = tracks = tracks.take(~gone)
        if len(tracks):
            tracks.motion.predict(steps, self.noise)

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
        limit = np.where(tracks.numbers > 0, self._max_age + HALF, 0)
        gone = tracks.unseen > limit
        if gone.any():
            self.tracks = tracks.take(~gone)

    def _begin(self, seen: Seen) -> NDArray[np.int32]:
        new = self.begin(seen)
        self._number(new)
        self.tracks = self.tracks.join(new)
        return new.numbers


def _seen(detections: Detections, features: NDArray[np.float32] | None) -> Seen:
    """Leave out what cannot be followed: places and scores that are no numbers."""
    good = np.isfinite(detections.boxes).all(axis=1) & np.isfinite(detections.scores)
    rows = np.flatnonzero(good)
    looks = np.zeros((len(rows), 0), np.float32) if features is None else features[rows]
    return Seen(
        rows, to_centres(detections.boxes[rows]), detections.scores[rows], detections.classes[rows], looks
    )
