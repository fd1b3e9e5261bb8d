"""An open container to decoded frames, in order of time; what is damaged is told apart, never handed on."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import TYPE_CHECKING, Any

import av

from quadrat.media.container import Opened

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

THREADS = 4
"""Of one decoder, while nothing is damaged."""

_REMEMBERED = 1000


class _DamageError(Exception):
    """Something is damaged: the file must be read carefully."""


class Decoder:
    """Decodes a stream of pictures once.

    A frame that the decoder reports as damaged, or whose bytes are missing, looks like a picture and is none
    (grey or green, smeared), and so do those predicted from it. So from damage on, nothing is handed on until the
    next key frame. This needs a decoder that notices: FFmpeg's for H.264, MPEG-4 and JPEG find nearly all damage,
    those for VP9 about half, the one for H.265 little of it.

    Threads make a decoder report errors late, and PyAV then loses the frames around them. So at the first sign of
    damage the file is read again from its begin, by one thread, and only what was not handed on yet is: a
    damaged file takes longer, reads alike on every machine, and loses no frame that is whole.

    `packets` counts coded pictures met, `end_s` is the end of the longest stream, sound included, in seconds since
    the file's begin, and `failure` says why the file could not be read further.
    """

    def __init__(self, opened: Opened, stop: Event) -> None:
        self._opened = opened
        self._stop = stop
        self._damage = False
        self._corrupt: set[int | None] = set()
        self._lost: set[int | None] = set()
        self._begin(THREADS)

    def _begin(self, threads: int) -> None:
        self._start_s = (self._opened.container.start_time or 0) / 1e6
        self._opened.stream.thread_count = threads
        self._opened.stream.thread_type = "AUTO" if threads > 1 else "NONE"
        self.packets = 0
        self.end_s = 0.0
        self.failure = ""

    def __iter__(self) -> Iterator[VideoFrame | None]:
        """Yield each frame, or None in the place of a damaged one; ends soon after `stop` is set."""
        handed = 0
        try:
            for frame in self._swift():
                handed += 1
                yield frame
        except _DamageError:
            if self._stop.is_set():
                return
            self._opened.again()
            self._begin(1)
            yield from self._careful(handed)

    def _swift(self) -> Iterator[VideoFrame]:
        """Decode with threads; _DamageError at the first sign of damage."""
        try:
            for packet in self._read():
                if packet.is_corrupt:
                    raise _DamageError
                yield from map(_whole, packet.decode())
            if not self._stop.is_set():
                yield from map(_whole, self._opened.stream.codec_context.decode(None))
        except av.error.FFmpegError as error:
            raise _DamageError from error

    def _careful(self, handed: int) -> Iterator[VideoFrame | None]:
        """Decode with one thread, leaving out the first frames, which are handed on already."""
        for frame in self._each():
            if frame is not None and _stamp(frame) in self._lost:
                self._lost.discard(_stamp(frame))  # counted by its error
                continue
            checked = frame and self._checked(frame)
            if frame is not None and handed:
                handed -= 1
            else:
                yield checked

    def _each(self) -> Iterator[VideoFrame | None]:
        """Yield each decoded frame, unchecked, and None for each error."""
        for packet in self._read():
            for marks in (self._corrupt, self._lost):
                if len(marks) > _REMEMBERED:
                    marks.clear()
            if packet.is_corrupt:
                self._corrupt.add(_stamp(packet))
            try:
                yield from packet.decode()
            except av.error.FFmpegError:
                self._damage = True
                self._lost.add(_stamp(packet))
                yield None
        if self._stop.is_set():
            return
        try:
            yield from self._opened.stream.codec_context.decode(None)
        except av.error.FFmpegError:
            self._damage = True
            yield None

    def _checked(self, frame: VideoFrame) -> VideoFrame | None:
        """Give a frame, or None where it is damaged or built on a damaged one."""
        if frame.key_frame:
            self._damage = False
        if frame.is_corrupt or _stamp(frame) in self._corrupt:
            self._damage = True
        self._corrupt.discard(_stamp(frame))
        if not frame.time_base:  # PyAV gives none to the frames that a decoder holds back to the end
            frame.time_base = self._opened.stream.time_base
        return None if self._damage else frame

    def _read(self) -> Iterator[Packet[Any]]:
        """Yield the packets of the pictures, watching the ends of the other streams."""
        stream = self._opened.stream
        try:
            for packet in self._opened.container.demux(stream, *self._opened.others):
                if self._stop.is_set():
                    return
                begin = packet.pts if packet.pts is not None else packet.dts
                if begin is None and not packet.size:
                    continue  # PyAV's sign of the end of a stream
                if begin is not None:
                    end = float((begin + (packet.duration or 0)) * packet.time_base) - self._start_s
                    self.end_s = max(self.end_s, end)
                if packet.stream_index == stream.index:
                    self.packets += 1
                    if packet.size:  # an AVI says "as before" with an empty one; for FFmpeg that is the end
                        yield packet
        except (av.error.FFmpegError, OSError) as error:  # the file's own disk may fail, too
            self.failure = error.strerror or str(error)


def _stamp(item: Packet[Any] | VideoFrame) -> int | None:
    """Give the time by which a frame is known to be a packet's."""
    return item.pts if item.pts is not None else item.dts


def _whole(frame: VideoFrame) -> VideoFrame:
    if frame.is_corrupt:
        raise _DamageError
    return frame
