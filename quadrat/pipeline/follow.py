"""Predictions of one frame after the other -> tracks: one tracker and one smoother for each source."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat import tracking
from quadrat.parameters import Settings
from quadrat.protocols import Tracker
from quadrat.tracking.appearance import describe
from quadrat.tracking.smoothing import Smoother
from quadrat.types import Detections, Ended, Failure, Frame, Result

DETECT = "detect"
HELD = 4
"""Frames of a source that wait at most, those that are not measured among them: of 4K four are 100 MB."""
INTERVALS = 9
"""Distances of frames of which the median is the usual one."""


class Follower:
    """The stage that follows objects; all else passes through it.

    A track has its number once its object was seen in min-hits frames, and its first frames have it too: frames of
    a source wait here for that, HELD of them at most.
    """

    def __init__(self, settings: Settings, num_classes: int | None) -> None:
        self._settings = settings
        self._num_classes = num_classes
        self._tails: dict[str, _Tail] = {}

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield every Result with its tracks; pictures, which have no time, lose only what is under min-score."""
        try:
            for item in items:
                if isinstance(item, Result) and item.frame.time_s is not None:
                    yield from self._tail(item).take(item)
                    continue
                if isinstance(item, Ended | Failure):
                    tail = self._tails.pop(item.source.urn, None)
                    yield from tail.rest() if tail else ()
                yield item
        except Exception:  # what came before it is known before it is heard of
            for tail in self._tails.values():
                yield from tail.rest()
            raise

    def _tail(self, result: Result) -> _Tail:
        tail = self._tails.get(result.source.urn)
        if tail is None:
            tail = self._tails[result.source.urn] = _Tail(self._settings, self._num_classes)
        return tail


@dataclass(slots=True)
class _Held:
    """A frame that waits: its objects with their tracks, and which track took each, counted or not."""

    result: Result
    found: Detections | None = None
    takers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


class _Tail:
    """What must see the frames of one source in order."""

    def __init__(self, settings: Settings, num_classes: int | None) -> None:
        self._least = settings.objects.min_score
        self._tracker: Tracker | None = tracking.make(settings.tracking, settings.objects.min_score)
        smooth = self._tracker is not None and settings.tracking.smooth_labels != "none"
        self._smoother = Smoother(settings.tracking, num_classes) if smooth else None
        self._wait = min(settings.tracking.min_hits - 1, HELD) if self._tracker is not None else 0
        self._held: deque[_Held] = deque()
        self._last_s: float | None = None
        self._intervals: deque[float] = deque(maxlen=INTERVALS)

    def take(self, result: Result) -> Iterator[Result]:
        """Take the next frame and give those that are known for good.

        A skipped one is time that passes: the next one is so many steps further on.
        """
        found = result.predictions.get(DETECT)
        held = _Held(result)
        if isinstance(found, Detections):
            held.found, held.takers = self._followed(result.frame, found)
            self._name(held)
        self._held.append(held)
        while self._held and (len(self._held) > HELD or self._waiting() > self._wait or not self._waiting()):
            yield self._known(self._held.popleft())

    def rest(self) -> Iterator[Result]:
        """Give all that wait: no more comes."""
        while self._held:
            yield self._known(self._held.popleft())

    def _waiting(self) -> int:
        return sum(held.found is not None for held in self._held)

    def _followed(self, frame: Frame, found: Detections) -> tuple[Detections, NDArray[np.int64]]:
        if self._tracker is None:
            return found, np.full(len(found), -1, np.int64)
        features = self._features(frame, found) if self._tracker.needs_features else None
        followed = self._tracker.update(found, features, self._steps(frame))
        return followed, self._tracker.takers

    def _name(self, now: _Held) -> None:
        """Give the tracks that have a number from now on that number in the frames that wait, too."""
        if now.found is None or now.found.tracks is None:
            return
        counted = now.found.tracks >= 0
        numbers = dict(zip(now.takers[counted].tolist(), now.found.tracks[counted].tolist(), strict=True))
        for held in self._held:
            if held.found is None or held.found.tracks is None:
                continue
            for row in np.flatnonzero((held.found.tracks < 0) & (held.takers >= 0)):
                held.found.tracks[row] = numbers.get(int(held.takers[row]), -1)

    def _known(self, held: _Held) -> Result:
        """Give those that a track took or that are certain enough by themselves, with their tracks."""
        found = held.found
        if found is None:
            return held.result
        kept = found.scores >= self._least
        if found.tracks is not None:
            kept |= found.tracks >= 0
        found = found[kept]
        if self._smoother is not None:
            found = self._smoother.update(found, held.result.frame.time_s or 0.0)
        return replace(held.result, predictions={**held.result.predictions, DETECT: found})

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
