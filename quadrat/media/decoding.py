"""Decode the frames of an open container in order of time, skipping damaged ones."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import TYPE_CHECKING, Any

import av

from quadrat.media.container import OpenVideo

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

THREADS = 4
"""Threads of one decoder, until damage is found."""

_MAX_STAMPS = 1000


class _DamageError(Exception):
    """Damage was found: the file must be decoded again with one thread."""


class Decoder:
    """Decodes a video stream once.

    A frame that the decoder reports as damaged, or that lacks data, is decoded to grey, green or smeared pixels, and
    so are the frames predicted from it. After damage, no frame is returned until the next key frame. This relies
    on the decoder: FFmpeg's decoders for H.264, MPEG-4 and JPEG detect nearly all damage, those for VP9 about
    half, and the one for H.265 little.

    With threads, a decoder reports errors late, and PyAV then loses the frames around them. At the first sign of
    damage, the file is therefore decoded again from the start with one thread, skipping the frames already
    returned: a damaged file takes longer, but gives the same frames on every machine and loses no intact frame.

    Pictures that depend on others before the start of the file, as after a cut, cannot be decoded either. The decoder
    for H.264 returns them marked as corrupt, and others drop them: they are the coded frames to be shown before the
    first one decoded. `headless` is their number.

    `packets` is the number of coded frames read, `end_s` the end of the longest stream (audio included) in seconds
    from the start of the file, and `failure` the reason why the file could not be read further.
    """

    def __init__(self, opened: OpenVideo, stop: Event) -> None:
        self._opened = opened
        self._stop = stop
        self._recovers = opened.stream.codec_context.codec.canonical_name == "h264"
        self._damage = False
        self._corrupt: set[int | None] = set()
        self._lost: set[int | None] = set()
        self.headless = 0
        self._starts_with_key = True
        self._early: list[int] | None = []
        self._start(THREADS)

    def _start(self, threads: int) -> None:
        self._start_s = (self._opened.container.start_time or 0) / 1e6
        self._opened.stream.thread_count = threads
        self._opened.stream.thread_type = "AUTO" if threads > 1 else "NONE"
        self.packets = 0
        self.end_s = 0.0
        self.failure = ""
        self._early = None if self._early is None else []

    def __iter__(self) -> Iterator[VideoFrame | None]:
        """Yield each frame, or None for a damaged one; ends soon after `stop` is set."""
        before = 0
        for frame in self._decode():
            if self._early is not None and frame is None:
                before += 1
            elif self._early is not None and frame is not None:
                dropped = max(0, self._dropped_before(frame) - before)
                if dropped or not self._starts_with_key:
                    self.headless = dropped + before
                for _ in range(dropped):
                    yield None
                self._early = None
            yield frame

    @property
    def _begins_inside(self) -> bool:
        """True before the first frame of H.264 that begins without a key frame.

        Its decoder marks frames as corrupt until it has recovered, which need not be at a key frame.
        """
        return self._recovers and self._early is not None and not self._starts_with_key

    def _dropped_before(self, first: VideoFrame) -> int:
        """Return the number of coded frames that are shown before the first decoded one."""
        if first.pts is None or self._opened.in_coded_order:
            return 0
        before = [first.pts - pts for pts in self._early or () if pts < first.pts]
        if self._recovers and first.duration:  # the two fields of a frame may be packets of their own
            return len({(ticks - 1) // first.duration for ticks in before})
        return len(before)

    def _decode(self) -> Iterator[VideoFrame | None]:
        returned = 0
        try:
            for frame in self._decode_fast():
                returned += 1
                yield frame
        except _DamageError:
            if self._stop.is_set():
                return
            self._opened.restart()
            self._start(1)
            yield from self._decode_slowly(returned)

    def _decode_fast(self) -> Iterator[VideoFrame]:
        """Decode with threads; raise _DamageError at the first sign of damage."""
        try:
            for packet in self._read():
                if packet.is_corrupt:
                    raise _DamageError
                yield from map(_check_intact, packet.decode())
            if not self._stop.is_set():
                yield from map(_check_intact, self._opened.stream.codec_context.decode(None))
        except av.error.FFmpegError as error:
            raise _DamageError from error

    def _decode_slowly(self, returned: int) -> Iterator[VideoFrame | None]:
        """Decode with one thread, skipping the first `returned` intact frames."""
        for frame in self._decode_all():
            if frame is not None and _stamp(frame) in self._lost:
                self._lost.discard(_stamp(frame))  # already counted by its error
                continue
            checked = frame and self._intact_or_none(frame)
            if frame is not None and returned:
                returned -= 1
            else:
                yield checked

    def _decode_all(self) -> Iterator[VideoFrame | None]:
        """Yield each decoded frame, unchecked, and None for each error."""
        for packet in self._read():
            for marks in (self._corrupt, self._lost):
                if len(marks) > _MAX_STAMPS:
                    marks.clear()
            if packet.is_corrupt:
                self._corrupt.add(_stamp(packet))
            try:
                yield from packet.decode()
            except av.error.FFmpegError:
                self._damage = not self._begins_inside
                self._lost.add(_stamp(packet))
                yield None
        if self._stop.is_set():
            return
        try:
            yield from self._opened.stream.codec_context.decode(None)
        except av.error.FFmpegError:
            self._damage = True
            yield None

    def _intact_or_none(self, frame: VideoFrame) -> VideoFrame | None:
        """Return the frame, or None if it is damaged or predicted from a damaged one."""
        if frame.key_frame:
            self._damage = False
        if frame.is_corrupt and self._begins_inside:
            return None
        if frame.is_corrupt or _stamp(frame) in self._corrupt:
            self._damage = True
        self._corrupt.discard(_stamp(frame))
        if not frame.time_base:  # PyAV sets no time base on frames that the decoder returns at the end
            frame.time_base = self._opened.stream.time_base
        return None if self._damage else frame

    def _read(self) -> Iterator[Packet[Any]]:
        """Yield the packets of the video stream, and track the ends of the other streams."""
        stream = self._opened.stream
        try:
            for packet in self._opened.container.demux(stream, *self._opened.others):
                if self._stop.is_set():
                    return
                start = packet.pts if packet.pts is not None else packet.dts
                if start is None and not packet.size:
                    continue  # PyAV marks the end of a stream this way
                if start is not None:
                    end = float((start + (packet.duration or 0)) * packet.time_base) - self._start_s
                    self.end_s = max(self.end_s, end)
                if packet.stream_index == stream.index:
                    if not self.packets:
                        self._starts_with_key = packet.is_keyframe
                    self.packets += 1
                    self._note(packet)
                    if (
                        packet.size
                    ):  # in AVI an empty packet repeats the last frame; FFmpeg would end decoding
                        yield packet
        except (av.error.FFmpegError, OSError) as error:  # the disk may fail as well
            self.failure = error.strerror or str(error)

    def _note(self, packet: Packet[Any]) -> None:
        """Keep the times of the coded frames that are to be shown, until the first frame is decoded."""
        if self._early is None or packet.pts is None or packet.is_discard or not packet.size:
            return
        if len(self._early) < _MAX_STAMPS:
            self._early.append(packet.pts)


def _stamp(item: Packet[Any] | VideoFrame) -> int | None:
    """Return the timestamp that matches a frame to its packet."""
    return item.pts if item.pts is not None else item.dts


def _check_intact(frame: VideoFrame) -> VideoFrame:
    if frame.is_corrupt:
        raise _DamageError
    return frame
