"""Smooth the class of a track by the votes of its last frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from quadrat.parameters import TrackingSettings
from quadrat.predictions import Detections

SCORE_UNITS = 1_000_000
"""Weight of a vote with a score of 1. Weights are integers, so that adding and subtracting them is exact."""


class Smoother:
    """Smooth the classes of one source's tracks.

    `smooth-labels` chooses the class of a track from its votes in the window: the most frequent class ("mode"), the
    median class index ("median"), or the class with the greatest sum of scores ("score"). The window covers
    `smooth-seconds` seconds, or `smooth-frames` frames if that is 0. A tie goes to the class of the present frame if
    it is among the best, otherwise to the best class seen last. The present frame votes too, so that a track has a
    class from its first frame on. `num_classes` is None if it is unknown; with one class there is nothing to smooth.
    """

    def __init__(self, tracking: TrackingSettings, num_classes: int | None) -> None:
        self._method = tracking.smooth_labels
        self._seconds = tracking.smooth_seconds
        self._frames = tracking.smooth_frames
        self._idle = self._method == "none" or num_classes == 1
        self._votes: dict[int, _Votes] = {}
        self._frame = 0
        self._clock = -np.inf

    def reset(self) -> None:
        """Forget all votes."""
        self._votes.clear()
        self._frame, self._clock = 0, -np.inf

    def update(self, detections: Detections, time_s: float) -> Detections:
        """Return the detections of the next frame, at `time_s` seconds, with smoothed classes (N,) int32.

        Rows without a track keep their class. The input is not modified.
        """
        self._frame += 1
        if self._idle or detections.tracks is None:
            return detections
        self._clock = max(self._clock, time_s)
        now = self._clock if self._seconds > 0 else float(self._frame)
        oldest = now - (self._seconds if self._seconds > 0 else self._frames)
        classes = detections.classes.copy()
        weights = self._weights(detections)
        for row in np.flatnonzero(detections.tracks >= 0):
            number, index = int(detections.tracks[row]), int(classes[row])
            votes = self._votes.pop(number, None) or _Votes()
            votes.add(now, index, weights[row])
            votes.drop_until(oldest)
            self._votes[number] = votes  # moves to the end: the dict is sorted by the time of the last vote
            classes[row] = votes.median(index) if self._method == "median" else votes.heaviest(index)
        self._drop_tracks(oldest)
        return replace(detections, classes=classes)

    def _weights(self, detections: Detections) -> list[int]:
        if self._method != "score":
            return [1] * len(detections)
        scores = np.clip(np.nan_to_num(detections.scores.astype(np.float64)), 0, 1)
        return [int(weight) for weight in np.round(scores * SCORE_UNITS)]

    def _drop_tracks(self, oldest: float) -> None:
        """Drop the tracks without a vote after `oldest`."""
        while self._votes:
            number = next(iter(self._votes))
            if self._votes[number].last > oldest:
                return
            del self._votes[number]


@dataclass(slots=True)
class _Votes:
    """The votes of one track in the window, oldest first, and their sums by class.

    `entries` are (time, class index, weight), with time in seconds or frames.
    """

    entries: deque[tuple[float, int, int]] = field(default_factory=deque)
    weights: dict[int, int] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    last_seen: dict[int, float] = field(default_factory=dict)

    @property
    def last(self) -> float:
        """The time of the last vote."""
        return self.entries[-1][0]

    def add(self, now: float, index: int, weight: int) -> None:
        """Add a vote for the class `index`."""
        self.entries.append((now, index, weight))
        self.weights[index] = self.weights.get(index, 0) + weight
        self.counts[index] = self.counts.get(index, 0) + 1
        self.last_seen[index] = now

    def drop_until(self, oldest: float) -> None:
        """Drop the votes at `oldest` and before, except the last vote."""
        while len(self.entries) > 1 and self.entries[0][0] <= oldest:
            _, index, weight = self.entries.popleft()
            self.weights[index] -= weight
            self.counts[index] -= 1
            if not self.counts[index]:
                del self.weights[index], self.counts[index], self.last_seen[index]

    def heaviest(self, present: int) -> int:
        """Return the class with the greatest sum of weights."""
        best = max(self.weights.values())
        return self._choose([index for index, weight in self.weights.items() if weight == best], present)

    def median(self, present: int) -> int:
        """Return the median class index; an even number of votes may have two."""
        total, below, middle = len(self.entries), 0, []
        for index in sorted(self.counts):
            after = below + self.counts[index]
            if below <= (total - 1) // 2 < after or below <= total // 2 < after:
                middle.append(index)
            below = after
        return self._choose(middle, present)

    def _choose(self, best: list[int], present: int) -> int:
        if present in best:
            return present
        return max(best, key=lambda index: (self.last_seen[index], index))
