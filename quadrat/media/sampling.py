"""Select frames of a video: every n-th, or one every N seconds of presentation time."""

from __future__ import annotations

import math

from quadrat.parameters import FrameSettings

_SLACK_S = 1e-6


def is_due(time_s: float, from_s: float) -> bool:
    """Return True if a frame at `time_s` counts as at `from_s` or later, with a tolerance of one microsecond."""
    return time_s + _SLACK_S >= from_s


class Sampling:
    """Decides for each frame of one source, in order, whether to measure it.

    When sampling by seconds, time is divided into slots of that length from the first frame on, and the first
    frame of each slot is selected, so that the selection does not drift, whatever the frame rate. A frame up to
    one microsecond early counts into the next slot; a slot may have no frame.
    """

    def __init__(self, frames: FrameSettings) -> None:
        self._step = frames.frame_step
        self._seconds = frames.frame_seconds
        self._slot = -1

    def selects(self, index: int, time_s: float) -> bool:
        """Return True if frame `index` of the source, shown at `time_s` seconds, is selected."""
        if self._seconds <= 0:
            return index % self._step == 0
        slot = math.floor((time_s + _SLACK_S) / self._seconds)
        taken = slot > self._slot
        self._slot = max(slot, self._slot)
        return taken
