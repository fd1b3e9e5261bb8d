"""Which frames of a video are taken: each n-th, or one in so many seconds of presentation time."""

from __future__ import annotations

import math

from quadrat.parameters import FrameSettings

_SLACK_S = 1e-6


def due(time_s: float, from_s: float) -> bool:
    """Say whether a frame shown at `time_s` counts as shown at `from_s` or later: a microsecond early is in time."""
    return time_s + _SLACK_S >= from_s


class Sampling:
    """Decides frame by frame, in order; one for each reading of a source.

    By seconds, time is cut into slots of that length from the first frame on, and the first frame of each
    slot is taken: whatever the rate, or its changes, the frames taken never drift from the clock. A frame
    that is a microsecond early counts into the slot that it rounds to, and a slot without a frame gives none.
    """

    def __init__(self, frames: FrameSettings) -> None:
        self._step = frames.frame_step
        self._seconds = frames.frame_seconds
        self._slot = -1

    def takes(self, index: int, time_s: float) -> bool:
        """Say whether the frame number `index` of the source, shown at `time_s` seconds, is taken."""
        if self._seconds <= 0:
            return index % self._step == 0
        slot = math.floor((time_s + _SLACK_S) / self._seconds)
        taken = slot > self._slot
        self._slot = max(slot, self._slot)
        return taken
