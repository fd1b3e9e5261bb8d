"""Presentation times of the frames of a video file."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

DEFAULT_RATE = 25
"""Frames per second if a file states neither times nor a rate."""
MAX_STEP_S = 86_400.0
"""A longer time between two frames is an error of the file, such as a counter of 32 bits that wrapped."""

_REORDERED = 17
"""A decoder reorders at most 16 frames, so that a timestamp that goes back further belongs to a new count."""
_RESET_S = 1.0


class Clock:
    """Presentation times in seconds since the first frame; they strictly increase.

    With `coded_order`, the container stores no presentation times (AVI): its timestamps count coded frames, so that
    the time of a frame is the decoding time at which it came out. In other containers a decoding time is used if
    fewer of those have gone back, as libavcodec does (`guess_correct_pts`).

    `step` is the time from one frame to the next where no timestamp states it, `end_s` the end of the last frame,
    and `jumps` the number of timestamps that were more than MAX_STEP_S after the previous one.
    """

    def __init__(self, base: Fraction | None, rate: float | None, *, coded_order: bool = False) -> None:
        self.step = 1 / (rate or DEFAULT_RATE)
        self.end_s = 0.0
        self.jumps = 0
        self._base = base or Fraction(0)
        self._coded_order = coded_order
        self._first: int | None = None
        self._shift = 0.0
        self._last = -1.0
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._faulty_pts = self._faulty_dts = 0

    def add(self, raw: VideoFrame) -> float:
        """Return a frame's time; if its timestamp is missing or goes back, one step after the previous frame.

        Timestamps that go back far, or jump ahead by more than MAX_STEP_S, begin a new count from there on.
        """
        stamp = self._stamp(raw.pts, raw.dts)
        time_s = self._last + self.step if self._last >= 0 else 0.0
        if stamp is not None:
            self._first = stamp if self._first is None else self._first
            stated_s = float((stamp - self._first) * self._base) + self._shift
            jumps = stated_s - max(self._last, 0.0) > MAX_STEP_S
            self.jumps += jumps
            if jumps or self._last - stated_s > _RESET_S + _REORDERED * self.step:
                self._shift += time_s - stated_s
            elif stated_s > self._last:
                time_s = stated_s
        self._last = time_s
        duration_s = float((getattr(raw, "duration", 0) or 0) * self._base)
        self.end_s = time_s + (duration_s if 0 < duration_s <= MAX_STEP_S else self.step)
        return time_s

    def mean_rate(self, frames: int) -> float | None:
        """Return the mean frame rate, or None for a single frame or without timestamps."""
        return (
            (frames - 1) / self._last if frames > 1 and self._last > 0 and self._first is not None else None
        )

    def _stamp(self, pts: int | None, dts: int | None) -> int | None:
        """Return the timestamp to use, after counting those of each kind that go back."""
        if dts is not None:
            self._faulty_dts += self._last_dts is not None and dts <= self._last_dts
            self._last_dts = dts
        if pts is not None:
            self._faulty_pts += self._last_pts is not None and pts <= self._last_pts
            self._last_pts = pts
        if self._coded_order and self._last_dts is not None:
            return dts
        return dts if pts is None or (dts is not None and self._faulty_pts > self._faulty_dts) else pts
