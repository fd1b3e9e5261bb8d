"""Live streams to frames: connected anew when they stall or break, with the gaps told."""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

from quadrat.errors import StreamError
from quadrat.media.colors import to_rgb
from quadrat.media.connection import Address, Connection, parse_address
from quadrat.media.exif import upright
from quadrat.media.orientation import TURNS, orientation_of
from quadrat.media.sampling import Sampling
from quadrat.media.scale import scaled
from quadrat.media.size import working_hw
from quadrat.media.timeline import Timeline
from quadrat.parameters import FrameSettings, StreamSettings
from quadrat.types import Frame, FrameKey, Gap, Reading, Source

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

LOG = logging.getLogger("quadrat")
BACKOFF_S = 0.5
"""Pause before the first new connection; it doubles with each that gives nothing."""
LONGEST_BACKOFF_S = 30.0
AHEAD = 2
"""Frames that are decoded ahead where every one is wanted."""


def open_stream(source: Source, frames: FrameSettings, streams: StreamSettings) -> StreamReader:
    """Give the reader of a live stream; `source.token` is its address. It connects when it is iterated.

    Raises StreamError for an address of a kind that we do not read. A recording on this machine is a video: give
    it as such.
    """
    return StreamReader(source, parse_address(source.token, source.name), frames, streams)


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A decoded frame that waits; `turn` is the EXIF orientation, 1 to 8, that makes it upright."""

    index: int
    time_s: float
    raw: VideoFrame
    turn: int


class StreamReader:
    """Reads a stream once; a thread for each connection decodes, and is left to itself when it hangs.

    With `read-mode` every, the source waits for us and no frame is left out; with latest there is one place for
    a frame, and a newer one drives out the older, which is counted as dropped. What has a whole of known length (a
    file on a web server) is always read frame by frame, and its end is the end.

    A connection without a frame for `stall-seconds` (from its begin on, too) is given up and another made, after a
    pause that doubles each time, with jitter. So is one that ends, as a live stream has no end, unless
    `reconnect-seconds` is 0. When so many seconds have passed since a loss was noticed, the stream is over and
    `reading.error` says so; iterating raises StreamError where not one frame ever came.

    Times: 0 is the arrival of the first frame; within a connection they go by presentation time, and a new
    connection begins at the time of its first arrival. Indices count on over all connections, dropped frames too.
    Frames are turned upright as the first one of their connection asks for (later ones may be silent about it), and
    scaled to the size of the first of all. `close` may be called from any thread.
    """

    def __init__(
        self,
        source: Source,
        address: Address,
        frames: FrameSettings,
        streams: StreamSettings,
        *,
        backoff_s: float = BACKOFF_S,
    ) -> None:
        self.reading = Reading(hw=(0, 0))
        self._source = source
        self._address = address
        self._max_img_size = frames.max_img_size
        self._settings = streams
        self._backoff_s = backoff_s
        self._chance = random.Random()  # noqa: S311 - it spreads reconnections, and guards nothing
        self._sampling = Sampling(frames)
        self._timeline = Timeline()
        self._changed = threading.Condition()
        self._queue: deque[_Held] = deque()
        self._link: Connection | None = None
        self._turn = 1
        self._tries = 0
        self._lost_at: float | None = monotonic()
        self._retry_at = 0.0
        self._reason = self._why = ""
        self._error: StreamError | None = None
        self._over = self._closed = False

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames taken; StreamError where there is not one."""
        with self._changed:
            self._lost_at = monotonic()
        try:
            while (item := self._next()) is not None:
                yield self._frame(item)
        finally:
            self._complete()
            self.close()
        if self._error is not None and not self.reading.read:
            raise self._error

    def close(self) -> None:
        """Stop, from any thread; the iteration ends soon, if it is under way."""
        with self._changed:
            self._closed = True
            link, self._link = self._link, None
            if link is not None:
                link.abandon()
            self._changed.notify_all()

    def give(self, link: Connection, raw: VideoFrame) -> bool:
        """Take a frame from a connection; False where it is not wanted any more."""
        with self._changed:
            if link is not self._link or self._over:
                return False
            limit = self._settings.stream_seconds
            time_s = self._timeline.at(raw, monotonic())
            if limit and time_s >= limit:
                self._over = True
                self._changed.notify_all()
                return False
            index = self.reading.read
            self._is_alive(link, raw, time_s)
            self.reading = replace(self.reading, read=index + 1, seconds=self._timeline.end_s)
            if self._sampling.takes(index, time_s):
                self._put(link, _Held(index, time_s, raw, self._turn))
            link.alive_at = monotonic()
            return link is self._link

    def damaged(self, link: Connection) -> None:
        """Count a frame that could not be decoded."""
        with self._changed:
            if link is self._link:
                self.reading = replace(self.reading, damaged=self.reading.damaged + 1)

    def ended(self, _link: Connection) -> None:
        """Wake who waits for this connection."""
        with self._changed:
            self._changed.notify_all()

    def _put(self, link: Connection, item: _Held) -> None:
        """Queue a frame: where every one is wanted when there is room, else in place of the older one."""
        if self._settings.read_mode == "latest" and not link.finite:
            if self._queue:
                self._queue.popleft()
                self.reading = replace(self.reading, dropped=self.reading.dropped + 1)
        else:
            while len(self._queue) >= AHEAD and link is self._link:
                self._changed.wait()
        if link is self._link:
            self._queue.append(item)
            self._changed.notify_all()

    def _is_alive(self, link: Connection, raw: VideoFrame, time_s: float) -> None:
        """Note the first frame of all, and the first after a gap."""
        if self._lost_at is not None:
            self._turn = orientation_of(raw)
        if not self.reading.read:
            hw = (raw.width, raw.height) if self._turn >= 5 else (raw.height, raw.width)
            turn = TURNS[self._turn]
            self.reading = replace(self.reading, hw=hw, rotation=turn, rate=link.rate, codec=link.codec)
        elif self._lost_at is not None:
            self._close_gap(time_s)
            LOG.info("%s: is back after %.1f s", self._source.name, monotonic() - self._lost_at)
        self._lost_at = None
        self._tries, self._why = 0, ""

    def _close_gap(self, end_s: float) -> None:
        start_s = self.reading.seconds
        gap = Gap(start_s, max(start_s, end_s), self._reason)
        self.reading = replace(self.reading, gaps=(*self.reading.gaps, gap))

    def _next(self) -> _Held | None:
        """Wait for a frame, watching the connection meanwhile; None at the end."""
        with self._changed:
            while not self._closed:
                if self._queue:
                    self.reading = replace(self.reading, taken=self.reading.taken + 1)
                    self._changed.notify_all()
                    return self._queue.popleft()
                until = monotonic() if self._over else self._watch(monotonic())
                if self._over:
                    break
                self._changed.wait(max(0.0, until - monotonic()))
        return None

    def _watch(self, now: float) -> float:
        """Connect, or give a connection up, where it is time to; give the time to look again."""
        patience = self._settings.reconnect_seconds
        ends_at = self._timeline.zero + (self._settings.stream_seconds or float("inf"))
        if now >= ends_at:
            self._over = True
        elif self._link is None:
            if now < self._retry_at:
                return min(self._retry_at, ends_at)
            if self._why and self._lost_at is not None and now >= self._lost_at + patience:
                self._give_up(self._why)
                return now
            self._timeline.connected()
            self._link = Connection(self._address, self, self._settings.stall_seconds, self._source.name)
        else:
            quiet_at = self._quiet_at(self._link)
            if not self._link.reason and now < quiet_at:
                return min(quiet_at, ends_at)
            self._lose(self._link, now)
        return now

    def _quiet_at(self, link: Connection) -> float:
        """Give the time at which a connection that gives nothing more is given up."""
        stalled_at = link.alive_at + self._settings.stall_seconds
        if self._lost_at is None or not self._settings.reconnect_seconds:
            return stalled_at
        return min(stalled_at, self._lost_at + self._settings.reconnect_seconds)

    def _lose(self, link: Connection, now: float) -> None:
        """Leave a connection, and decide whether and when there will be another."""
        link.abandon()
        self._link = None
        cut_short = (
            now < link.alive_at + self._settings.stall_seconds
        )  # then why the one before failed says more
        quiet = f"no frame for {now - link.alive_at:.1f} s"
        self._why = why = link.reason or (cut_short and self._why) or quiet
        patience = self._settings.reconnect_seconds
        if self._lost_at is None:
            if link.ran_out and (link.finite or not patience):
                self._over = True
                return
            self._lost_at, self._reason = now, why
            LOG.warning("%s: lost at %.1f s, %s", self._source.name, self.reading.seconds, why)
        if now >= self._lost_at + patience or link.finite:  # a whole would be read from its begin again
            self._give_up(why)
        else:
            pause = min(self._backoff_s * 2**self._tries, LONGEST_BACKOFF_S) * self._chance.uniform(0.5, 1.0)
            self._tries = min(self._tries + 1, 16)
            self._retry_at = min(now + pause, self._lost_at + patience)

    def _give_up(self, why: str) -> None:
        patience, read = self._settings.reconnect_seconds, self.reading.read
        tried = f" and could not be reached again in {patience:g} s" if self._tries else ""
        if read:
            first = f"{self._reason}; then {why}" if why != self._reason else why
            what = f"the stream was lost after {read} frames at {self.reading.seconds:.1f} s{tried} ({first})"
        else:
            what = f"the stream cannot be reached ({why})"
        self._error = StreamError(
            what, where=self._source.name, hint="Check the camera, its address and the network"
        )
        self._over = True

    def _complete(self) -> None:
        """Complete the reading at the end, whichever way it came."""
        with self._changed:
            self._over = True
            if self._lost_at is not None and self.reading.read:
                self._close_gap(monotonic() - self._timeline.zero)
                self._lost_at = None
            rate = self.reading.rate or self._timeline.mean_rate(self.reading.read)
            self.reading = replace(self.reading, rate=rate, error=self._error)

    def _frame(self, held: _Held) -> Frame:
        hw = self.reading.hw
        working = working_hw(hw, self._max_img_size)
        stored = scaled(to_rgb(held.raw), working[::-1] if held.turn >= 5 else working)
        key = FrameKey(self._source.urn, held.index)
        return Frame(key, hw, upright(stored, held.turn), time_s=held.time_s)
