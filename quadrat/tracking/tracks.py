"""The live tracks and the observations of one frame, both as columns."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from quadrat.predictions import Detections
from quadrat.tracking import kalman
from quadrat.tracking.kalman import F64, Indices
from quadrat.tracking.motion import WINDOW

F32 = NDArray[np.float32]
HALF = 0.5
"""Tolerance of a step: presentation times are not exact multiples of the frame interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """The N detections of one frame that can be tracked.

    `rows` (N,) are their row numbers in the detections; `boxes` (N, 4) float64 are corners x0, y0, x1, y1 in pixels;
    `scores` (N,) float32 in 0..1; `classes` (N,) int32; `embeddings` (N, D) float32 have length 1, or are zeros if
    that of an object is unknown, and D is 0 if there are none.
    """

    rows: Indices
    boxes: F64
    scores: F32
    classes: NDArray[np.int32]
    embeddings: F32

    @classmethod
    def of(cls, detections: Detections, embeddings: F32 | None) -> Observations:
        """Copy the detections whose corners and scores are finite; `embeddings` (M, D) has a row for each of M."""
        finite = np.isfinite(detections.boxes).all(axis=1) & np.isfinite(detections.scores)
        rows = np.flatnonzero(finite)
        return cls(
            rows,
            kalman.with_min_side(detections.boxes[rows].astype(np.float64)),
            detections.scores[rows],
            detections.classes[rows],
            np.zeros((len(rows), 0), np.float32) if embeddings is None else _known(embeddings[rows]),
        )

    def __len__(self) -> int:
        """Return the number of observations."""
        return len(self.rows)

    def select(self, index: Indices) -> Observations:
        """Return the observations at these indices."""
        return Observations(*(getattr(self, f.name)[index] for f in fields(self)))


def _known(embeddings: F32) -> F32:
    """Return embeddings with zeros, which mean unknown, in rows with values that are not finite."""
    return np.where(np.isfinite(embeddings).all(axis=1, keepdims=True), embeddings, np.float32(0))


@dataclass(slots=True, eq=False)
class Tracks:
    """The N live tracks, in order of their start.

    `state` (N, 5, 4) is that of the Kalman filter. `serials` (N,) identify tracks from their start on; `numbers` (N,)
    are 0 until a track counts. `classes` (N,) are those of the last observations, `hits` (N,) counts observations, and
    `time_since_update` (N,) is the number of steps since the last one. `recent` (N, WINDOW, 2) are the observed
    centres of the last steps, newest first, NaN where there was none.

    Columns that only some trackers use have a width of 0 in the others: `embeddings` (N, D) are running means,
    `history` (N, K, 4) holds the last K observed boxes, newest first, and `observed_state` (N, 5, 4) is the state
    after the last observation.
    """

    state: F64
    serials: NDArray[np.int64]
    numbers: NDArray[np.int32]
    classes: NDArray[np.int32]
    hits: NDArray[np.int32]
    time_since_update: F64
    recent: F64
    embeddings: F32
    history: F64
    observed_state: F64

    @classmethod
    def start(cls, observed: Observations, history: int = 0, serial: int = 0) -> Tracks:
        """Start a track at each observation, with `history` boxes; serials count up from `serial`."""
        count = len(observed)
        state = kalman.initiate(observed.boxes)
        recent = np.full((count, WINDOW, 2), np.nan)
        recent[:, 0] = state[:, kalman.POSITION, :2]
        return cls(
            state,
            np.arange(serial, serial + count),
            np.zeros(count, np.int32),
            observed.classes.copy(),
            np.ones(count, np.int32),
            np.zeros(count),
            recent,
            observed.embeddings.copy(),
            np.repeat(observed.boxes[:, None], history, axis=1),
            state.copy() if history else np.zeros((count, 0, 4)),
        )

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self.numbers)

    @property
    def boxes(self) -> F64:
        """The predicted boxes (N, 4)."""
        return kalman.corners(self.state)

    def select(self, mask: NDArray[np.bool_]) -> Tracks:
        """Return the tracks where `mask` (N,) is True."""
        return Tracks(*(getattr(self, f.name)[mask] for f in fields(self)))

    def concatenate(self, other: Tracks) -> Tracks:
        """Return these tracks followed by `other`."""
        width = max(self.embeddings.shape[1], other.embeddings.shape[1])
        for one in (self, other):
            one.widen_embeddings(width)
        return Tracks(
            *(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self))
        )

    def widen_embeddings(self, width: int) -> None:
        """Give tracks that started without embeddings `width` columns of zeros, which mean unknown."""
        if self.embeddings.shape[1] < width:
            self.embeddings = np.zeros((len(self), width), np.float32)

    def shift_recent(self, steps: float) -> None:
        """Make room for the centres of the next step; after any other time than one step, forget the earlier ones."""
        shifted = np.full_like(self.recent, np.nan)
        if abs(steps - 1) < HALF:
            shifted[:, 1:] = self.recent[:, :-1]
        self.recent = shifted
