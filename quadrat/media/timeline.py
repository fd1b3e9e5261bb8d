"""The times of a stream's frames over all its connections: arrival as the base, presentation times within."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_LEAP_S = 10.0
"""A presentation time that leaps so far ahead of the clock on the wall is a new count, not a pause."""
_STEP_S = 0.04
_SHORTEST_S = 0.001
_TICK_S = 1e-6


class Timeline:
    """Gives each frame its time in seconds from the arrival of the first one on; times always grow.

    `zero` is that arrival in monotonic seconds (infinite before it), `end_s` the end of the last frame.
    """

    def __init__(self) -> None:
        self.zero = float("inf")
        self.end_s = 0.0
        self._last_s = -1.0
        self._last_pts_s: float | None = None
        self._last_arrival = 0.0
        self._shift = 0.0
        self._lasts = _STEP_S

    def connected(self) -> None:
        """Forget presentation times: a new connection counts anew."""
        self._last_pts_s = None

    def at(self, raw: VideoFrame, arrival: float) -> float:
        """Give the time of a frame that arrived at `arrival` (monotonic seconds)."""
        base = float(raw.time_base or 0)
        pts = raw.pts if raw.pts is not None else raw.dts
        return self.place(
            None if pts is None or not base else pts * base, arrival, float(raw.duration or 0) * base
        )

    def place(self, pts_s: float | None, arrival: float, lasts_s: float = 0.0) -> float:
        """Give the time of a frame by its presentation time in seconds, where it has one.

        A presentation time that goes back, or leaps ahead, begins a new count at the time of its arrival.
        """
        if self.zero == float("inf"):
            self.zero = self._last_arrival = arrival
        self._lasts = max(lasts_s, _SHORTEST_S) if lasts_s else self._lasts
        earliest = self._last_s + self._lasts if self._last_s >= 0 else 0.0
        now_s = max(arrival - self.zero, earliest)
        before = self._last_pts_s
        if pts_s is None:
            time_s = now_s
        else:
            goes_on = before is not None and 0 < pts_s - before <= arrival - self._last_arrival + _LEAP_S
            if not goes_on:
                self._shift = now_s - pts_s
            time_s = max(pts_s + self._shift, self._last_s + _TICK_S if self._last_s >= 0 else 0.0)
        self._last_s, self._last_pts_s, self._last_arrival = time_s, pts_s, arrival
        self.end_s = time_s + self._lasts
        return time_s

    def mean_rate(self, frames: int) -> float | None:
        """Give the frames per second seen, None for a single one."""
        return (frames - 1) / self._last_s if frames > 1 and self._last_s > 0 else None
