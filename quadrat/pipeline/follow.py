"""Predictions of one frame after the other -> tracks: one tracker and one smoother for each source."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat import tracking
from quadrat.protocols import Tracker
from quadrat.settings import Settings
from quadrat.tracking.appearance import describe
from quadrat.tracking.smoothing import Smoother
from quadrat.types import Detections, Ended, Failure, Frame, Result

DETECT = "detect"
INTERVALS = 9
"""Distances of frames of which the median is the usual one."""


class Follower:
    """The stage that follows objects; all else passes through it."""

    def __init__(self, settings: Settings, num_classes: int | None) -> None:
        self._settings = settings
        self._num_classes = num_classes
        self._tails: dict[str, _Tail] = {}

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield every Result with its tracks; pictures, which have no time, lose only what is under min-score."""
        for item in items:
            if isinstance(item, Result):
                yield self._follow(item)
                continue
            if isinstance(item, Ended | Failure):
                self._tails.pop(item.source.urn, None)
            yield item

    def _follow(self, result: Result) -> Result:
        found = result.predictions.get(DETECT)
        if result.frame.time_s is None or not isinstance(found, Detections):
            return result  # a skipped frame is time that passes: the next one is so many steps further on
        tail = self._tails.get(result.source.urn)
        if tail is None:
            tail = self._tails[result.source.urn] = _Tail(self._settings, self._num_classes)
        return replace(result, predictions={**result.predictions, DETECT: tail.follow(result.frame, found)})


class _Tail:
    """What must see the frames of one source in order."""

    def __init__(self, settings: Settings, num_classes: int | None) -> None:
        self._least = settings.min_score
        self._tracker: Tracker | None = tracking.make(settings)
        smooth = self._tracker is not None and settings.smooth_labels != "none"
        self._smoother = Smoother(settings, num_classes) if smooth else None
        self._last_s: float | None = None
        self._intervals: deque[float] = deque(maxlen=INTERVALS)

    def follow(self, frame: Frame, found: Detections) -> Detections:
        """Give those that a track took or that are certain enough by themselves, with their tracks."""
        if self._tracker is None:
            return found[found.scores >= self._least]
        features = self._features(frame, found) if self._tracker.needs_features else None
        followed = self._tracker.update(found, features, self._steps(frame))
        tracks = followed.tracks
        kept = followed.scores >= self._least
        if tracks is not None:
            kept |= tracks >= 0
        followed = followed[kept]
        return self._smoother.update(followed, frame.time_s or 0.0) if self._smoother else followed

    def _steps(self, frame: Frame) -> float:
        """Time since the last frame seen, in usual distances of frames."""
        now, last = frame.time_s or 0.0, self._last_s
        self._last_s = now
        if last is None or now <= last:
            return 1.0
        self._intervals.append(now - last)
        return max(1.0, float(round((now - last) / float(np.median(self._intervals)))))

    @staticmethod
    def _features(frame: Frame, found: Detections) -> NDArray[np.float32]:
        """Describe what each object looks like; boxes go from source to working pixels."""
        (height, width), (source_h, source_w) = frame.pixels.shape[:2], frame.source_hw
        scale = np.array([width / source_w, height / source_h] * 2, np.float32)
        return describe(frame.pixels, found.boxes * scale)
