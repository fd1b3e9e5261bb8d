"""Frames -> network inputs: the whole picture or its tiles; and which frames are not worth one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from quadrat.errors import QuadratError
from quadrat.geometry import Geometry, Window
from quadrat.media.black import is_black
from quadrat.media.sampling import due
from quadrat.pipeline.events import Prepared, Ran, Taken, as_known
from quadrat.pipeline.loaded import LoadedModel
from quadrat.types import Detections, Flush, Frame, Prediction, Result, Sample

NOTHING = np.zeros((0, 0, 0), np.float32)


class Gate:
    """Says which frames are measured: not black ones, and not those soon after one without objects.

    Time is the media's own, and a frame is judged only when the frames of its source before it are
    measured, so that the same video gives the same answer on any machine.
    """

    def __init__(self, *, skip_black: bool, idle_s: float, min_score: float = 0.0) -> None:
        self._skip_black = skip_black
        self._min_score = min_score
        self._idle_s = idle_s
        self._until: dict[str, float] = {}
        self._under_way: dict[str, int] = {}

    def must_wait(self, frame: Frame) -> bool:
        """Whether what is under way of this source decides on the frame."""
        return bool(self._idle_s and frame.time_s is not None and self._under_way.get(frame.key.source))

    def reason(self, frame: Frame) -> str:
        """Say why a frame is not measured ("black", "idle"), or "" where it is."""
        if frame.time_s is None:
            return ""
        if self._skip_black and is_black(frame.pixels):
            return "black"
        return "" if due(frame.time_s, self._until.get(frame.key.source, -1.0)) else "idle"

    def sent(self, frame: Frame) -> None:
        """Note that a frame is on its way to the network."""
        if self._idle_s and frame.time_s is not None:
            self._under_way[frame.key.source] = self._under_way.get(frame.key.source, 0) + 1

    def saw(self, frame: Frame, prediction: Prediction | None) -> None:
        """Note what was found in a frame; None where it could not be measured."""
        if not self._idle_s or frame.time_s is None:
            return
        self._under_way[frame.key.source] -= 1
        if isinstance(prediction, Detections) and not (prediction.scores >= self._min_score).any():
            self._until[frame.key.source] = frame.time_s + self._idle_s

    def forget(self, source: str) -> None:
        """Drop what is known of a source that has ended."""
        self._until.pop(source, None)
        self._under_way.pop(source, None)


def prepare(model: LoadedModel, gate: Gate, items: Iterator[Any]) -> Iterator[Any]:
    """Yield a Prepared for every part of every frame, a Result for a skipped frame, and all else unchanged."""
    for item in items:
        if not isinstance(item, Taken):
            yield item
            continue
        if gate.must_wait(item.frame):
            yield Flush()
        reason = item.frame.skipped or gate.reason(item.frame)
        if reason:
            yield Result(item.source, replace(item.frame, skipped=reason), {})
            continue
        gate.sent(item.frame)
        yield from _samples(model, item)


def _samples(model: LoadedModel, taken: Taken) -> Iterator[Prepared | Ran]:
    """Yield one item for each part of a frame, be it only why there is no input."""
    frame = taken.frame
    working: tuple[int, int] = (frame.pixels.shape[0], frame.pixels.shape[1])
    start = Geometry.identity(frame.source_hw).resized(working)
    try:
        fold = model.task.start(frame)
    except QuadratError as error:  # too many tiles
        yield Ran(taken.source, Sample(frame, NOTHING, start), as_known(error, taken.source.name), "read")
        return
    for part, window in enumerate(fold.windows):
        try:
            tensor, geometry = _input(model, frame, start, window)
        except Exception as error:  # noqa: BLE001 - one image must not end an order, whatever it holds
            sample = Sample(frame, NOTHING, start, part, len(fold.windows), window)
            yield Ran(taken.source, sample, as_known(error, taken.source.name), "read", fold)
        else:
            sample = Sample(frame, tensor, geometry, part, len(fold.windows), window)
            yield Prepared(taken.source, sample, fold)


def _input(model: LoadedModel, frame: Frame, start: Geometry, window: Window | None) -> Any:
    if window is None:
        return model.transform(frame.pixels, start)
    pixels = frame.pixels[window.top : window.bottom, window.left : window.right]
    return model.transform(pixels, start.cropped(window))
