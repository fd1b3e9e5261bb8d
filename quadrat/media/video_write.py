"""Frames to a video file that plays everywhere: size, times and colours kept."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import av
import numpy as np

from quadrat.errors import DeliveryError, EncoderError, ImageSizeError
from quadrat.geometry import HW
from quadrat.media.colors import BT709, FULL, LIMITED, usual_matrix
from quadrat.types import ImageU8

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

TICKS = 90_000
"""Of the written time base, per second: whole for 24, 25, 30, 50 and 60 frames/s and for 30000/1001."""
USUAL_RATE = 25.0
"""Frames per second where the source states none; only the last frame's duration and the encoder's plans need it."""
THREADS = 4
"""Of one encoder; a fixed number, so that the same frames give the same bytes on every machine."""

_KEY_SECONDS = 4
_BITEXACT = 0x400
# SVT-AV1 refuses some smaller pictures, and never ends on others (8 x 300, 24 x 4000).
_LEAST: Mapping[str, HW] = MappingProxyType({"av1": (64, 64)})
_MOST: Mapping[str, HW] = MappingProxyType(
    {"h264": (16384, 16384), "vp9": (65535, 65535), "av1": (8704, 16384)}
)
_SLOWEST = Fraction(1, 1000)
# Frames per second that an encoder may plan with, times being each packet's own; SVT-AV1 refuses more.
_FASTEST: Mapping[str, int] = MappingProxyType({"h264": 1000, "vp9": 1000, "av1": 240})
_OF_ENCODERS = (errno.EINVAL, errno.ENOMEM)
_HINT = "Choose another --codec, or --outputs none"
# No encoder here reorders frames: each packet's duration is then the time to the next one, exactly.
_CODECS: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "h264": ("libx264", {"preset": "superfast", "crf": "20", "bf": "0"}),
        "vp9": (
            "libvpx-vp9",
            {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "24", "b": "0", "lag-in-frames": "0"},
        ),
        "av1": ("libsvtav1", {"preset": "11", "crf": "28", "svtav1-params": f"pred-struct=1:lp={THREADS}"}),
    }
)  # fmt: skip


class VideoWriter:
    """Writes frames of one size to an MP4 file, with its index in front.

    `hw` (height, width) in pixels is kept exactly: H.264 has colour at half size (4:2:0), which browsers play,
    where both sides are even; an odd side cannot be said in it, and the colour is then at full size (4:4:4),
    which FFmpeg's players and Chrome play; vp9 and av1 take odd sides as they are. `rate` is frames per second,
    None where unknown; times may be irregular. `codec` is h264, vp9 or av1. Colours are limited range, BT.709
    from 720p on and BT.601 below, and tagged so. Raises ImageSizeError for a size that the codec does not know;
    every error of writing is a DeliveryError, an EncoderError where it is not the disk's.
    """

    def __init__(self, path: Path, hw: HW, rate: float | None, codec: str = "h264") -> None:
        _check_size(hw, codec)
        self._path = path
        self._hw = hw
        self._codec = codec
        self._rate = rate if rate and rate > 0 else USUAL_RATE
        self._matrix = usual_matrix(hw)
        self._held: Packet[VideoStream] | None = None
        self._last: int | None = None
        self._step = max(1, round(TICKS / self._rate))
        self._broken = self._closed = False
        try:
            self._container = self._open()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._failed(error) from error

    def _open(self) -> OutputContainer:
        name, options = _CODECS[self._codec]
        # SVT-AV1 writes its settings to stderr unless told not to, and hears it here only.
        os.environ.setdefault("SVT_LOG", "1")
        # With "file:" in front, no name is taken for an address or a pattern.
        target = f"file:{self._path.absolute()}"
        container = av.open(target, "w", format="mp4", options={"movflags": "+faststart"})
        container.flags |= _BITEXACT
        rate = Fraction(self._rate).limit_denominator(1001)
        rate = min(max(rate, _SLOWEST), Fraction(_FASTEST[self._codec]))
        stream = cast("VideoStream", container.add_stream(name, rate=rate, options=dict(options)))
        stream.height, stream.width = self._hw
        odd = self._hw[0] % 2 or self._hw[1] % 2
        stream.pix_fmt = "yuv444p" if odd and self._codec == "h264" else "yuv420p"
        stream.thread_count = THREADS
        context = stream.codec_context
        context.time_base = stream.time_base = Fraction(1, TICKS)
        context.gop_size = max(1, round(min(_KEY_SECONDS * self._rate, 250)))
        context.color_range = LIMITED
        context.colorspace = BT709 if self._matrix == BT709 else 6
        context.color_primaries = context.color_trc = BT709
        self._stream = stream
        return container

    def write(self, pixels: ImageU8, time_s: float) -> None:
        """Add a frame (H, W, 3) uint8 RGB, shown from `time_s` seconds on; times must not go back.

        Two frames less than a tick apart are written a tick apart. Raises DeliveryError.
        """
        if pixels.shape[:2] != self._hw:
            raise ValueError(f"a frame of {pixels.shape[:2]} in a video of {self._hw}")
        if self._closed or self._broken:
            raise DeliveryError("the video is closed already", where=self._path.name)
        tick = round(time_s * TICKS)
        first = self._last is None
        if self._last is not None:
            tick = max(tick, self._last + 1)
            self._step = tick - self._last
        self._last = tick
        try:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(
                format=self._stream.pix_fmt,
                dst_colorspace=self._matrix,
                src_color_range=FULL,
                dst_color_range=LIMITED,
            )
            frame.pts, frame.time_base = tick, Fraction(1, TICKS)
            with _never_real_time() if first else nullcontext():
                packets = self._stream.encode(frame)
            for packet in packets:
                self._mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            self._broken = True
            raise self._failed(error) from error

    def close(self, end_s: float | None = None) -> None:
        """Finish the file: what was written plays, also after an error in between. A second call does nothing.

        The last frame is shown until `end_s` seconds, or as long as the one before it. Without a frame there
        is no file. Raises DeliveryError where the disk refuses, once.
        """
        if self._closed:
            return
        self._closed = True
        container = self._container
        try:
            if self._last is not None and not self._broken:
                for packet in self._stream.encode(None):
                    self._mux(packet)
                if end_s is not None and round(end_s * TICKS) > self._last:
                    self._step = round(end_s * TICKS) - self._last
                self._mux(None)
            container.close()
        except (av.error.FFmpegError, OSError) as error:
            with suppress(av.error.FFmpegError, OSError):
                container.close()
            if not self._broken:
                raise self._failed(error) from error

    def _mux(self, packet: Packet[VideoStream] | None) -> None:
        """Write the packet held back, whose duration is known by the next one, and hold that."""
        held, self._held = self._held, packet
        if held is None:
            return
        after = None if packet is None else packet.pts
        held.duration = self._step if after is None or held.pts is None else after - held.pts
        self._container.mux(held)

    def _failed(self, error: Exception) -> DeliveryError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        number = getattr(error, "errno", None)
        # FFmpeg's own numbers are none of the system's.
        if number in _OF_ENCODERS or number not in errno.errorcode:
            what = f"the {self._codec} encoder does not take the video ({reason})"
            return EncoderError(what, where=self._path.name, hint=_HINT)
        return DeliveryError(
            f"the video could not be written ({reason})",
            where=self._path.name,
            hint="Make room, or name another disk in the environment variable TMPDIR",
        )


@contextmanager
def _never_real_time() -> Iterator[None]:
    """Undo what an encoder does to the scheduling of this thread, and of those that begin meanwhile.

    Where it may (as root), SVT-AV1 makes the thread that opens it, and its own, real-time ones of the highest
    priority, before which nothing else on the machine runs; who waits in a loop for another thread waits for ever.
    """
    try:
        policy, priority, before = os.sched_getscheduler(0), os.sched_getparam(0), _threads()
    except (AttributeError, OSError):  # not here, or not in this sandbox
        yield
        return
    try:
        yield
    finally:
        for thread in {0, *(_threads() - before)}:
            with suppress(OSError):  # it has ended
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, priority)


def _threads() -> set[int]:
    """The numbers of this process's threads, where the system tells."""
    with suppress(OSError):
        return {int(task.name) for task in Path("/proc/self/task").iterdir()}
    return set()


def _check_size(hw: HW, codec: str) -> None:
    """Refuse a size that the codec's encoder here cannot take."""
    (height, width), (most_h, most_w) = hw, _MOST[codec]
    least_h, least_w = _LEAST.get(codec, (1, 1))
    if not (least_h <= height <= most_h and least_w <= width <= most_w):
        raise ImageSizeError(
            f"{codec} makes no video of {width} x {height} pixels: it takes {least_w} x {least_h} to {most_w} x {most_h}",
            hint=_HINT,
        )
