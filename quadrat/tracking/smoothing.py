"""The class of a tracked object by the votes of its last frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from quadrat.parameters import TrackingSettings
from quadrat.types import Detections

WEIGHT = 1_000_000
"""Of a score of 1: whole numbers add up and go away again without a rest."""


class Smoother:
    """One source's smoothing, as smooth-labels, smooth-frames and smooth-seconds say.

    A track's class is the most frequent of its window (mode), the median class index, or the class with the
    greatest sum of scores (score). A tie goes to the present class if it is among the best, else to the one
    among them seen last. The first frame already votes, so the class is never undefined. Tracks without a vote
    in the window are forgotten. `num_classes` is None where it is not known; where it is 1 nothing can change.
    """

    def __init__(self, settings: TrackingSettings, num_classes: int | None) -> None:
        self._method = settings.smooth_labels
        self._seconds = settings.smooth_seconds
        self._frames = settings.smooth_frames
        self._idle = self._method == "none" or num_classes == 1
        self._votes: dict[int, _Votes] = {}
        self._frame = 0
        self._clock = -np.inf

    def reset(self) -> None:
        """Forget all votes."""
        self._votes.clear()
        self._frame, self._clock = 0, -np.inf

    def update(self, detections: Detections, time_s: float) -> Detections:
        """Take the next frame's detections, at `time_s` seconds, and give them with their tracks' classes.

        Rows without a track are passed on as they are; so is all where nothing is tracked.
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
            votes.forget(oldest)
            self._votes[number] = votes  # last in the dict: in order of when they were last seen
            classes[row] = votes.median(index) if self._method == "median" else votes.most(index)
        self._forget(oldest)
        return replace(detections, classes=classes)

    def _weights(self, detections: Detections) -> list[int]:
        if self._method != "score":
            return [1] * len(detections)
        scores = np.clip(np.nan_to_num(detections.scores.astype(np.float64)), 0, 1)
        return [int(weight) for weight in np.round(scores * WEIGHT)]

    def _forget(self, oldest: float) -> None:
        while self._votes:
            number = next(iter(self._votes))
            if self._votes[number].last > oldest:
                return
            del self._votes[number]


@dataclass(slots=True)
class _Votes:
    """One track's votes in the window: when, for which class, of what weight; their sums; and when a class was last seen."""

    entries: deque[tuple[float, int, int]] = field(default_factory=deque)
    sums: dict[int, int] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    latest: dict[int, float] = field(default_factory=dict)

    @property
    def last(self) -> float:
        """When the track was last seen."""
        return self.entries[-1][0]

    def add(self, now: float, index: int, weight: int) -> None:
        """Take a vote."""
        self.entries.append((now, index, weight))
        self.sums[index] = self.sums.get(index, 0) + weight
        self.counts[index] = self.counts.get(index, 0) + 1
        self.latest[index] = now

    def forget(self, oldest: float) -> None:
        """Take back votes up to `oldest`; the last one stays."""
        while len(self.entries) > 1 and self.entries[0][0] <= oldest:
            _, index, weight = self.entries.popleft()
            self.sums[index] -= weight
            self.counts[index] -= 1
            if not self.counts[index]:
                del self.sums[index], self.counts[index], self.latest[index]

    def most(self, present: int) -> int:
        """Give the class of the greatest sum."""
        best = max(self.sums.values())
        return self._choose([index for index, total in self.sums.items() if total == best], present)

    def median(self, present: int) -> int:
        """Give the class in the middle of the votes in order of class index; of an even number there are two."""
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
        return max(best, key=lambda index: (self.latest[index], index))
