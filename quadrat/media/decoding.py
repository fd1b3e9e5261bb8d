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

_REMEMBERED = 1000
_STUCK = 100


class Decoder:
    """Decodes a stream of pictures once.

    A frame that the decoder reports as damaged, or whose bytes are missing, looks like a picture and is none
    (grey or green, smeared), and so do those predicted from it. So from damage on, nothing is handed on until the
    next key frame. This needs a decoder that notices: FFmpeg's for H.264, MPEG-4 and JPEG find nearly all damage,
    those for VP9 about half, the one for H.265 little of it.

    `packets` counts coded pictures met, `end_s` is the end of the longest stream, sound included, in seconds since
    the file's begin, and `failure` says why the file could not be read further.
    """

    def __init__(self, opened: Opened, stop: Event) -> None:
        self._opened = opened
        self._stop = stop
        self._start_s = (opened.container.start_time or 0) / 1e6
        self._damage = False
        self._corrupt: set[int] = set()
        self.packets = 0
        self.end_s = 0.0
        self.failure = ""

    def __iter__(self) -> Iterator[VideoFrame | None]:
        """Yield each frame, or None in the place of a damaged one; ends soon after `stop` is set."""
        for packet in self._read():
            if self._stop.is_set():
                return
            yield from self._decode(packet)
        while not self._stop.is_set():
            try:
                late = self._opened.stream.codec_context.decode(None)
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self._damage = True
                yield None
                continue
            if not late:
                return
            yield from map(self._checked, late)

    def _read(self) -> Iterator[Packet[Any]]:
        """Yield the packets of the pictures, watching the ends of the other streams."""
        stream = self._opened.stream
        try:
            for packet in self._opened.container.demux(stream, *self._opened.others):
                if packet.dts is None and packet.pts is None and not packet.size:
                    continue  # PyAV's sign of the end of a stream
                begin = packet.pts if packet.pts is not None else packet.dts
                if begin is not None:
                    end = float((begin + (packet.duration or 0)) * packet.time_base) - self._start_s
                    self.end_s = max(self.end_s, end)
                if packet.stream_index == stream.index:
                    self.packets += 1
                    if packet.size:  # an AVI says "as before" with an empty one; for FFmpeg that is the end
                        yield packet
        except av.error.FFmpegError as error:
            self.failure = error.strerror or str(error)

    def _decode(self, packet: Packet[Any]) -> Iterator[VideoFrame | None]:
        if packet.is_corrupt:
            if packet.pts is None or len(self._corrupt) > _REMEMBERED:
                self._damage = True
            else:
                self._corrupt.add(packet.pts)
        for _ in range(_STUCK):
            try:
                frames = packet.decode()
            except av.error.BlockingIOError:
                continue  # older damage came first, the packet is still to be taken
            except av.error.FFmpegError:
                self._damage = True
                yield None
                return
            yield from map(self._checked, frames)
            return

    def _checked(self, frame: VideoFrame) -> VideoFrame | None:
        if frame.key_frame:
            self._damage = False
        if frame.is_corrupt or frame.pts in self._corrupt:
            self._damage = True
        if frame.pts is not None:
            self._corrupt.discard(frame.pts)
        return None if self._damage else frame
