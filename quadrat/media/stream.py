"""Read live streams: reconnect when they stall or break, and report the gaps."""

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
from quadrat.media.aspect import INTERLACED, display_hw
from quadrat.media.colors import to_rgb
from quadrat.media.connection import Address, Connection, parse_address
from quadrat.media.exif import upright
from quadrat.media.orientation import ROTATIONS, orientation_of
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
"""Pause before the first reconnection; it doubles with each attempt that fails."""
MAX_BACKOFF_S = 30.0
MAX_QUEUED = 2
"""Frames decoded in advance with read-mode every."""


def open_stream(source: Source, frames: FrameSettings, streams: StreamSettings) -> StreamReader:
    """Return the reader of a live stream, whose address is `source.token`. It connects when iterated.

    Raises StreamError for an unsupported address scheme. Use `open_video` for a local recording.
    """
    return StreamReader(source, parse_address(source.token, source.name), frames, streams)


@dataclass(frozen=True, slots=True, eq=False)
class _QueuedFrame:
    """A decoded frame in the queue; `turn` is its EXIF orientation, 1 to 8."""

    index: int
    time_s: float
    raw: VideoFrame
    turn: int


class StreamReader:
    """Reads a stream once; each connection decodes in its own thread, which is abandoned if it hangs.

    With `read-mode` every, decoding waits until frames are consumed, and no frame is skipped. With latest, the queue
    holds one frame, which a newer one replaces; the replaced frame counts as dropped. A source of known length (a
    file on a web server) is always read frame by frame, until its end.

    If a connection delivers no frame for `stall-seconds` (also at its start), the reader drops it and reconnects,
    after a pause with jitter that doubles each time. It also reconnects when a connection ends, as a live stream has
    no end, unless `reconnect-seconds` is 0. After `reconnect-seconds` without a frame since the loss, the stream ends
    with `reading.error`; if there was never a frame, the iteration raises StreamError.

    Time 0 is the arrival of the first frame. Within a connection, times follow presentation times; a new connection
    starts at the arrival of its first frame. Indices continue across connections and include dropped frames.
    Frames are rotated upright by the first frame of their connection, as later ones may lack the tag, and
    scaled to the size of the first frame of all, as players show it. `close` may be called from any thread.
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
        self._chance = random.Random()  # noqa: S311 - jitter for reconnections, not for security
        self._sampling = Sampling(frames)
        self._timeline = Timeline()
        self._changed = threading.Condition()
        self._queue: deque[_QueuedFrame] = deque()
        self._connection: Connection | None = None
        self._turn = 1
        self._tries = 0
        self._lost_at: float | None = monotonic()
        self._retry_at = 0.0
        self._reason = self._why = ""
        self._error: StreamError | None = None
        self._over = self._closed = False

    def __iter__(self) -> Iterator[Frame]:
        """Yield the selected frames; raise StreamError if there is none."""
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
        """Stop reading; thread-safe. A running iteration ends soon."""
        with self._changed:
            self._closed = True
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.abandon()
            self._changed.notify_all()

    def on_frame(self, connection: Connection, raw: VideoFrame) -> bool:
        """Accept a frame from a connection; return False if the connection is no longer needed."""
        with self._changed:
            if connection is not self._connection or self._over:
                return False
            limit = self._settings.stream_seconds
            time_s = self._timeline.add_frame(raw, monotonic())
            if limit and time_s >= limit:
                self._over = True
                self._changed.notify_all()
                return False
            index = self.reading.read
            self._note_first_frame(connection, raw, time_s)
            self.reading = replace(self.reading, read=index + 1, seconds=self._timeline.end_s)
            if self._sampling.selects(index, time_s):
                self._enqueue(connection, _QueuedFrame(index, time_s, raw, self._turn))
            connection.last_active_at = monotonic()
            return connection is self._connection

    def on_damage(self, connection: Connection) -> None:
        """Count a frame that could not be decoded."""
        with self._changed:
            if connection is self._connection:
                self.reading = replace(self.reading, damaged=self.reading.damaged + 1)

    def on_end(self, _connection: Connection) -> None:
        """Wake the thread that waits for this connection."""
        with self._changed:
            self._changed.notify_all()

    def _enqueue(self, connection: Connection, item: _QueuedFrame) -> None:
        """Queue a frame: with read-mode every when there is space, with latest in place of an older one."""
        if self._settings.read_mode == "latest" and not connection.finite:
            if self._queue:
                self._queue.popleft()
                self.reading = replace(self.reading, dropped=self.reading.dropped + 1)
        else:
            while len(self._queue) >= MAX_QUEUED and connection is self._connection:
                self._changed.wait()
        if connection is self._connection:
            self._queue.append(item)
            self._changed.notify_all()

    def _note_first_frame(self, connection: Connection, raw: VideoFrame, time_s: float) -> None:
        """Record size and rate from the first frame of all, and a gap at the first frame after a loss."""
        if self._lost_at is not None:
            self._turn = orientation_of(raw)
        if not self.reading.read:
            stored, aspect = (raw.height, raw.width), connection.aspect
            shown = display_hw(stored, aspect) or stored
            text = f"{aspect.numerator}:{aspect.denominator}" if aspect and shown != stored else "1:1"
            self.reading = replace(
                self.reading,
                hw=shown[::-1] if self._turn >= 5 else shown,
                rotation=ROTATIONS[self._turn],
                rate=connection.rate,
                codec=connection.codec,
                pixel_aspect=text,
                warnings=(f"the stream is {INTERLACED}",) if raw.interlaced_frame else (),
            )
        elif self._lost_at is not None:
            self._close_gap(time_s)
            LOG.info("%s: reconnected after %.1f s", self._source.name, monotonic() - self._lost_at)
        self._lost_at = None
        self._tries, self._why = 0, ""

    def _close_gap(self, end_s: float) -> None:
        start_s = self.reading.seconds
        gap = Gap(start_s, max(start_s, end_s), self._reason)
        self.reading = replace(self.reading, gaps=(*self.reading.gaps, gap))

    def _next(self) -> _QueuedFrame | None:
        """Wait for the next frame while supervising the connection; return None at the end."""
        with self._changed:
            while not self._closed:
                if self._queue:
                    self.reading = replace(self.reading, taken=self.reading.taken + 1)
                    self._changed.notify_all()
                    return self._queue.popleft()
                until = monotonic() if self._over else self._supervise(monotonic())
                if self._over:
                    break
                self._changed.wait(max(0.0, until - monotonic()))
        return None

    def _supervise(self, now: float) -> float:
        """Connect or drop the connection when it is time; return the time of the next check."""
        reconnect_s = self._settings.reconnect_seconds
        ends_at = self._timeline.zero + (self._settings.stream_seconds or float("inf"))
        if now >= ends_at:
            self._over = True
        elif self._connection is None:
            if now < self._retry_at:
                return min(self._retry_at, ends_at)
            if self._why and self._lost_at is not None and now >= self._lost_at + reconnect_s:
                self._give_up(self._why)
                return now
            self._timeline.connected()
            self._connection = Connection(
                self._address, self, self._settings.stall_seconds, self._source.name
            )
        else:
            stalls_at = self._stalls_at(self._connection)
            if not self._connection.reason and now < stalls_at:
                return min(stalls_at, ends_at)
            self._drop_connection(self._connection, now)
        return now

    def _stalls_at(self, connection: Connection) -> float:
        """Return the time at which the connection is dropped unless it delivers a frame."""
        stalled_at = connection.last_active_at + self._settings.stall_seconds
        if self._lost_at is None or not self._settings.reconnect_seconds:
            return stalled_at
        return min(stalled_at, self._lost_at + self._settings.reconnect_seconds)

    def _drop_connection(self, connection: Connection, now: float) -> None:
        """Drop a connection, and decide whether and when to reconnect."""
        connection.abandon()
        self._connection = None
        cut_short = (
            now < connection.last_active_at + self._settings.stall_seconds
        )  # the previous reason is then more informative
        quiet = f"no frame for {now - connection.last_active_at:.1f} s"
        self._why = why = connection.reason or (cut_short and self._why) or quiet
        reconnect_s = self._settings.reconnect_seconds
        if self._lost_at is None:
            if connection.ended_normally and (connection.finite or not reconnect_s):
                self._over = True
                return
            self._lost_at, self._reason = now, why
            LOG.warning("%s: connection lost at %.1f s: %s", self._source.name, self.reading.seconds, why)
        if (
            now >= self._lost_at + reconnect_s or connection.finite
        ):  # reconnecting would start from the beginning
            self._give_up(why)
        else:
            pause = min(self._backoff_s * 2**self._tries, MAX_BACKOFF_S) * self._chance.uniform(0.5, 1.0)
            self._tries = min(self._tries + 1, 16)
            self._retry_at = min(now + pause, self._lost_at + reconnect_s)

    def _give_up(self, why: str) -> None:
        reconnect_s, read = self._settings.reconnect_seconds, self.reading.read
        tried = f" and could not be reconnected within {reconnect_s:g} s" if self._tries else ""
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
        """Complete the reading at the end, for whatever reason it ended."""
        with self._changed:
            self._over = True
            if self._lost_at is not None and self.reading.read:
                self._close_gap(monotonic() - self._timeline.zero)
                self._lost_at = None
            rate = self.reading.rate or self._timeline.mean_rate(self.reading.read)
            self.reading = replace(self.reading, rate=rate, error=self._error)

    def _frame(self, held: _QueuedFrame) -> Frame:
        hw = self.reading.hw
        working = working_hw(hw, self._max_img_size)
        stored = scaled(to_rgb(held.raw), working[::-1] if held.turn >= 5 else working)
        key = FrameKey(self._source.urn, held.index)
        return Frame(key, hw, upright(stored, held.turn), time_s=held.time_s)
