"""Compute the times of a stream's frames across its connections, from arrival and presentation times."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_MAX_JUMP_S = 10.0
"""A presentation time that jumps this far ahead of the wall clock starts a new count; it is not a pause."""
_DEFAULT_STEP_S = 0.04
_MIN_DURATION_S = 0.001
_TICK_S = 1e-6


class Timeline:
    """Assigns each frame its time in seconds since the first frame's arrival; times strictly increase.

    `zero` is the first arrival in monotonic seconds (infinite before it), `end_s` the end of the last frame.
    """

    def __init__(self) -> None:
        self.zero = float("inf")
        self.end_s = 0.0
        self._last_s = -1.0
        self._last_pts_s: float | None = None
        self._last_arrival = 0.0
        self._shift = 0.0
        self._duration_s = _DEFAULT_STEP_S

    def connected(self) -> None:
        """Forget presentation times: a new connection starts its own count."""
        self._last_pts_s = None

    def add_frame(self, raw: VideoFrame, arrival: float) -> float:
        """Return the time of a frame that arrived at `arrival` (monotonic seconds)."""
        base = float(raw.time_base or 0)
        pts = raw.pts if raw.pts is not None else raw.dts
        return self.add(
            None if pts is None or not base else pts * base, arrival, float(raw.duration or 0) * base
        )

    def add(self, pts_s: float | None, arrival: float, duration_s: float = 0.0) -> float:
        """Return the time of a frame with presentation time `pts_s` in seconds, if it has one.

        A presentation time that goes back or jumps ahead starts a new count at its arrival.
        """
        if self.zero == float("inf"):
            self.zero = self._last_arrival = arrival
        if 0 < duration_s <= _MAX_JUMP_S:  # a longer one is an error of the stream
            self._duration_s = max(duration_s, _MIN_DURATION_S)
        earliest = self._last_s + self._duration_s if self._last_s >= 0 else 0.0
        now_s = max(arrival - self.zero, earliest)
        before = self._last_pts_s
        if pts_s is None:
            time_s = now_s
        else:
            continues = (
                before is not None and 0 < pts_s - before <= arrival - self._last_arrival + _MAX_JUMP_S
            )
            if not continues:
                self._shift = now_s - pts_s
            time_s = max(pts_s + self._shift, self._last_s + _TICK_S if self._last_s >= 0 else 0.0)
        self._last_s, self._last_pts_s, self._last_arrival = time_s, pts_s, arrival
        self.end_s = time_s + self._duration_s
        return time_s

    def mean_rate(self, frames: int) -> float | None:
        """Return the mean frame rate, or None for a single frame."""
        return (frames - 1) / self._last_s if frames > 1 and self._last_s > 0 else None
