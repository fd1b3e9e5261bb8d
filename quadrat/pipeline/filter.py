"""The choice of frames to measure: not black ones, and none in the idle time after a frame without objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quadrat.media.black import is_black
from quadrat.media.sampling import is_due
from quadrat.pipeline.models import Pass
from quadrat.pipeline.state import SourceState
from quadrat.types import Frame


class FrameFilter:
    """Decides which frames of videos, sequences and streams are measured.

    It uses the times of the media, and decides on a frame only after the earlier frames of its source are measured.
    The same video therefore gives the same frames on any machine.
    """

    def __init__(self, models: Pass) -> None:
        self._skip_black = models.settings.frames.skip_black
        self._idle_s = models.settings.frames.idle_seconds
        self._models = models

    def must_wait(self, state: SourceState, frame: Frame) -> bool:
        """Return True if the decision depends on frames of this source that are still being measured."""
        return bool(self._idle_s and frame.time_s is not None and state.under_way)

    def reason(self, state: SourceState, frame: Frame) -> str:
        """Return the reason for skipping a frame ("black", "idle"), or "" to measure it."""
        if frame.time_s is None:
            return ""
        if self._skip_black and is_black(frame.pixels):
            return "black"
        return "" if is_due(frame.time_s, state.idle_until) else "idle"

    def sent(self, state: SourceState, frame: Frame) -> None:
        """Record that a frame is being measured."""
        if self._idle_s and frame.time_s is not None:
            state.under_way += 1

    def measured(self, state: SourceState, frame: Frame, predictions: Mapping[str, Any]) -> None:
        """Record the predictions of a frame; models that could not measure it have none.

        The source rests if every model that looks for something found nothing. A model that failed may have missed
        something, so the source does not rest after it.
        """
        if not self._idle_s or frame.time_s is None:
            return
        state.under_way -= 1
        empty = [self._models[name].is_empty(found) for name, found in predictions.items()]
        known = [each for each in empty if each is not None]
        if known and all(known) and len(predictions) == len(self._models.whole):
            state.idle_until = frame.time_s + self._idle_s
