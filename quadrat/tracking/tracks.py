"""The live tracks as columns, and one frame's objects that may go on with them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from quadrat.tracking import kalman
from quadrat.tracking.kalman import F64, Indices, Noise
from quadrat.types import Detections

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame's objects that can be followed, N of them.

    `rows` are their rows in the detections; `boxes` (N, 4) float64; `looks` (N, D) of unit
    length, D = 0 where there are none.
    """

    rows: Indices
    boxes: F64
    scores: F32
    classes: NDArray[np.int32]
    looks: F32

    @classmethod
    def of(cls, detections: Detections, looks: F32 | None) -> Seen:
        """Leave out what cannot be followed: places and scores that are no numbers."""
        good = np.isfinite(detections.boxes).all(axis=1) & np.isfinite(detections.scores)
        rows = np.flatnonzero(good)
        given = np.zeros((len(rows), 0), np.float32) if looks is None else looks[rows]
        return cls(
            rows,
            kalman.thick(detections.boxes[rows].astype(np.float64)),
            detections.scores[rows],
            detections.classes[rows],
            given,
        )

    def take(self, index: Indices) -> Seen:
        """Select objects by indices."""
        return Seen(*(getattr(self, f.name)[index] for f in fields(self)))


@dataclass(slots=True, eq=False)
class Tracks:
    """The live tracks, N of them, in order of their begin.

    `state` (N, 5, 4) of the filter, of what can be seen; `serials` in order of begin; `numbers` 0 until a track
    counts; `classes` of the last object; `hits` how often it was seen; `unseen` steps since then; `body` (N, 4) the whole object, as far as it is
    known, and `drift` (N, 2) its speed. What only some trackers need has no width for the others: `looks` (N, D)
    the mean look, `trail` (N, K, 4) the last boxes seen, newest first, and `frozen` (N, 5, 4) the state when last
    seen.
    """

    state: F64
    serials: NDArray[np.int64]
    numbers: NDArray[np.int32]
    classes: NDArray[np.int32]
    hits: NDArray[np.int32]
    unseen: F64
    body: F64
    drift: F64
    looks: F32
    trail: F64
    frozen: F64

    @classmethod
    def begin(cls, seen: Seen, noise: Noise, trail: int = 0, serial: int = 0) -> Tracks:
        """Start a track at each object, with a trail of so many boxes; the first has this serial."""
        count = len(seen.rows)
        state = kalman.begin(seen.boxes, kalman.sizes(seen.boxes), noise)
        return cls(
            state,
            np.arange(serial, serial + count),
            np.zeros(count, np.int32),
            seen.classes.copy(),
            np.ones(count, np.int32),
            np.zeros(count),
            seen.boxes.copy(),
            np.zeros((count, 2)),
            seen.looks.copy(),
            np.repeat(seen.boxes[:, None], trail, axis=1),
            state.copy() if trail else np.zeros((count, 0, 4)),
        )

    def __len__(self) -> int:
        """Count the tracks."""
        return len(self.numbers)

    @property
    def boxes(self) -> F64:
        """Where they are due: (N, 4)."""
        return self.state[:, kalman.PLACE]

    @property
    def size(self) -> F64:
        """How large (N,) they are as wholes: what is cut off now does not make the motion smaller."""
        return kalman.sizes(self.body)

    def take(self, index: NDArray[np.bool_]) -> Tracks:
        """Select tracks by a mask."""
        return Tracks(*(getattr(self, f.name)[index] for f in fields(self)))

    def join(self, other: Tracks) -> Tracks:
        """Put other tracks behind these."""
        for one in (self, other):
            one.widen(max(self.looks.shape[1], other.looks.shape[1]))
        return Tracks(
            *(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self))
        )

    def widen(self, width: int) -> None:
        """Give tracks that began without looks the width of those that have one; zeros are a look not known yet."""
        if self.looks.shape[1] < width:
            self.looks = np.zeros((len(self), width), np.float32)
