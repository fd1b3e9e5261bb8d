"""Predictions, frame by frame -> tracks, with one tracker and one smoother for each source."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat import tracking
from quadrat.parameters import ObjectSettings, TrackingSettings
from quadrat.pipeline.appearance import Appearance
from quadrat.pipeline.events import MeasuredFrame, SourceEnd
from quadrat.pipeline.models import LoadedModel
from quadrat.pipeline.state import SourceState
from quadrat.predictions import Detections
from quadrat.protocols import Tracker
from quadrat.tracking.smoothing import Smoother
from quadrat.types import Frame

HELD = 4
"""The most frames of a source that wait, including those that are not measured: four 4K frames take 100 MB."""
INTERVALS = 9
"""The number of recent intervals between frames whose median is the usual interval."""


class TrackStage:
    """The stage that tracks the objects of one model.

    A track gets its number once its object has been seen in min-hits frames. Up to HELD frames of a source wait
    here, so that the first frames of the track get the number too. `vectors` is the model about these objects whose
    vectors a tracker by appearance compares; without one, it compares their colours.
    """

    def __init__(self, model: LoadedModel, vectors: LoadedModel | None = None) -> None:
        self._name = model.name
        self._vectors = None if vectors is None else vectors.name
        self._objects = model.settings.objects
        self._tracking = model.settings.tracking
        self._num_classes = model.package.num_classes
        self._open: dict[int, SourceState] = {}

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield every MeasuredFrame of a video with its tracks, and everything else unchanged."""
        try:
            for item in items:
                if isinstance(item, MeasuredFrame) and item.result.frame.time_s is not None:
                    yield from self._trail(item.state).take(item)
                    continue
                if isinstance(item, SourceEnd):
                    yield from self._rest(item.state)
                yield item
        except Exception:  # yield the frames before the error first
            for state in list(self._open.values()):
                yield from self._rest(state)
            raise

    def _trail(self, state: SourceState) -> _Trail:
        own = state.models[self._name]
        if own.trail is None:
            own.trail = _Trail(self._name, self._objects, self._tracking, self._num_classes, self._vectors)
            self._open[id(state)] = state
        trail: _Trail = own.trail
        return trail

    def _rest(self, state: SourceState) -> Iterator[MeasuredFrame]:
        """Yield the waiting frames of a source that has no more frames."""
        self._open.pop(id(state), None)
        trail: _Trail | None = state.models[self._name].trail
        if trail is not None:
            yield from trail.rest()


@dataclass(frozen=True, slots=True)
class _Held:
    """A waiting frame: its objects with their track numbers, and the tracks they are assigned to, confirmed or not."""

    item: MeasuredFrame
    found: Detections | None = None
    assigned: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


class _Trail:
    """Tracks and smooths the objects of one source; it must get all its frames in order."""

    def __init__(
        self,
        model: str,
        objects: ObjectSettings,
        tracks: TrackingSettings,
        num_classes: int | None,
        vectors: str | None,
    ) -> None:
        self._model = model
        self._appearance = Appearance(vectors)
        self._min_score = objects.least_score
        self._tracker: Tracker | None = tracking.make(tracks, objects.least_score)
        smooth = self._tracker is not None and tracks.smooth_labels != "none"
        self._smoother = Smoother(tracks, num_classes) if smooth else None
        self._wait = min(tracks.min_hits - 1, HELD) if self._tracker is not None else 0
        self._held: deque[_Held] = deque()
        self._last_s: float | None = None
        self._intervals: deque[float] = deque(maxlen=INTERVALS)

    def take(self, item: MeasuredFrame) -> Iterator[MeasuredFrame]:
        """Add the next frame, and yield the frames whose tracks are final.

        A skipped frame only lengthens the time step to the next measured frame.
        """
        found = item.result.predictions.get(self._model)
        held = _Held(item)
        if isinstance(found, Detections):
            held = self._tracked(item, found)
            self._number_earlier(held)
        self._held.append(held)
        while self._held and (len(self._held) > HELD or self._waiting() > self._wait or not self._waiting()):
            yield self._final(self._held.popleft())

    def rest(self) -> Iterator[MeasuredFrame]:
        """Yield all waiting frames, after the last frame."""
        while self._held:
            yield self._final(self._held.popleft())

    def _waiting(self) -> int:
        return sum(held.found is not None for held in self._held)

    def _tracked(self, item: MeasuredFrame, found: Detections) -> _Held:
        if self._tracker is None:
            return _Held(item, found, np.full(len(found), -1, np.int64))
        frame = item.result.view(self._model)
        embeddings = self._appearance.embeddings(frame, found) if self._tracker.needs_embeddings else None
        tracked = self._tracker.update(found, embeddings, self._steps(frame))
        return _Held(item, tracked.detections, tracked.assigned_tracks)

    def _number_earlier(self, now: _Held) -> None:
        """Set the numbers of tracks that are confirmed in this frame in the waiting frames, too."""
        if now.found is None or now.found.tracks is None:
            return
        counted = now.found.tracks >= 0
        numbers = dict(zip(now.assigned[counted].tolist(), now.found.tracks[counted].tolist(), strict=True))
        for place, held in enumerate(self._held):
            if held.found is None or held.found.tracks is None:
                continue
            tracks = held.found.tracks.copy()
            for row in np.flatnonzero((tracks < 0) & (held.assigned >= 0)):
                tracks[row] = numbers.get(int(held.assigned[row]), -1)
            self._held[place] = replace(held, found=replace(held.found, tracks=tracks))

    def _final(self, held: _Held) -> MeasuredFrame:
        """Keep objects that have a track or a score of at least min-score."""
        found = held.found
        if found is None:
            return held.item
        kept = found.scores >= self._min_score
        if found.tracks is not None:
            kept |= found.tracks >= 0
        found = found[kept]
        result = held.item.result
        if self._smoother is not None:
            found = self._smoother.update(found, result.frame.time_s or 0.0)
        return replace(
            held.item, result=replace(result, predictions={**result.predictions, self._model: found})
        )

    def _steps(self, frame: Frame) -> float:
        """Return the time since the previous measured frame, in usual intervals between frames."""
        now, last = frame.time_s or 0.0, self._last_s
        self._last_s = now
        if last is None or now <= last:
            return 1.0
        self._intervals.append(now - last)
        return max(1.0, float(round((now - last) / float(np.median(self._intervals)))))
