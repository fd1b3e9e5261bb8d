"""Write frames to a widely playable video file, keeping size, times and colours."""

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
from quadrat.media.colors import BT709, FULL, LIMITED, default_matrix
from quadrat.types import ImageU8

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

TICKS = 90_000
"""Ticks of the time base per second: a multiple of 24, 25, 30, 50, 60 and 30000/1001 frames/s."""
DEFAULT_RATE = 25.0
"""Frames per second if the source states none; it affects only rate control and the last frame's duration."""
THREADS = 4
"""Threads of one encoder; fixed, so that the same frames give the same bytes on every machine."""

_KEY_SECONDS = 4
_BITEXACT = 0x400
# SVT-AV1 rejects some smaller pictures, and never returns for others (8 x 300, 24 x 4000).
_MIN_HW: Mapping[str, HW] = MappingProxyType({"av1": (64, 64)})
_MAX_HW: Mapping[str, HW] = MappingProxyType(
    {"h264": (16384, 16384), "vp9": (65535, 65535), "av1": (8704, 16384)}
)
_MIN_RATE = Fraction(1, 1000)
# Nominal frame rate for the encoder, as each packet has its own time; SVT-AV1 rejects higher ones.
_MAX_RATE: Mapping[str, int] = MappingProxyType({"h264": 1000, "vp9": 1000, "av1": 240})
_ENCODER_ERRNOS = (errno.EINVAL, errno.ENOMEM)
_HINT = "Choose another --codec, or --outputs none"
# Frames are not reordered, so that each packet's duration is exactly the time to the next one.
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

ENCODERS: Mapping[str, str] = MappingProxyType({codec: encoder for codec, (encoder, _) in _CODECS.items()})
"""FFmpeg's encoder for each codec."""


class VideoWriter:
    """Writes frames of one size to an MP4 file, with its index at the start.

    `hw` (height, width) in pixels is kept exactly. H.264 uses 4:2:0, which all browsers play, if both sides are
    even; 4:2:0 cannot represent odd sides in H.264, so 4:4:4 is used for them, which FFmpeg-based players and
    Chrome play. vp9 and av1 support odd sides. `rate` is frames per second, or None if unknown; times may be
    irregular. `codec` is h264, vp9 or av1. Colours are tagged as limited range, BT.709 from 720p on, else BT.601.
    Raises ImageSizeError for a size that the codec does not support, DeliveryError if writing fails, and
    EncoderError if the encoder fails.
    """

    def __init__(self, path: Path, hw: HW, rate: float | None, codec: str = "h264") -> None:
        _check_size(hw, codec)
        self._path = path
        self._hw = hw
        self._codec = codec
        self._rate = rate if rate and rate > 0 else DEFAULT_RATE
        self._matrix = default_matrix(hw)
        self._pending: Packet[VideoStream] | None = None
        self._last: int | None = None
        self._step = max(1, round(TICKS / self._rate))
        self._broken = self._closed = False
        try:
            self._container = self._open()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._to_delivery_error(error) from error

    def _open(self) -> OutputContainer:
        name, options = _CODECS[self._codec]
        # Keep SVT-AV1 from writing its settings to stderr; this variable is the only way.
        os.environ.setdefault("SVT_LOG", "1")
        # "file:" keeps FFmpeg from reading the name as an address or a pattern.
        target = f"file:{self._path.absolute()}"
        container = av.open(target, "w", format="mp4", options={"movflags": "+faststart"})
        container.flags |= _BITEXACT
        rate = Fraction(self._rate).limit_denominator(1001)
        rate = min(max(rate, _MIN_RATE), Fraction(_MAX_RATE[self._codec]))
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
        """Add a frame (H, W, 3) uint8 RGB, shown from `time_s` seconds on; times must not decrease.

        Frames less than one tick apart are written one tick apart. Raises DeliveryError.
        """
        if pixels.shape[:2] != self._hw:
            raise ValueError(f"a frame of {pixels.shape[:2]} in a video of {self._hw}")
        if self._closed or self._broken:
            raise DeliveryError("the video is already closed", where=self._path.name)
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
            with _restore_scheduling() if first else nullcontext():
                packets = self._stream.encode(frame)
            for packet in packets:
                self._mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            self._broken = True
            raise self._to_delivery_error(error) from error

    def close(self, end_s: float | None = None) -> None:
        """Finish the file, so that all frames written play, even after an error. A second call does nothing.

        The last frame is shown until `end_s` seconds, or as long as the frame before it. Without frames, no file
        is written. Raises DeliveryError if writing fails, unless `write` has raised it before.
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
                raise self._to_delivery_error(error) from error

    def _mux(self, packet: Packet[VideoStream] | None) -> None:
        """Write the pending packet, whose duration the next packet determines, and keep `packet` pending."""
        pending, self._pending = self._pending, packet
        if pending is None:
            return
        after = None if packet is None else packet.pts
        pending.duration = self._step if after is None or pending.pts is None else after - pending.pts
        self._container.mux(pending)

    def _to_delivery_error(self, error: Exception) -> DeliveryError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        number = getattr(error, "errno", None)
        # FFmpeg's own error numbers are not errno values.
        if number in _ENCODER_ERRNOS or number not in errno.errorcode:
            what = f"the {self._codec} encoder cannot encode the video ({reason})"
            return EncoderError(what, where=self._path.name, hint=_HINT)
        return DeliveryError(
            f"the video could not be written ({reason})",
            where=self._path.name,
            hint="Free some disk space, or set TMPDIR to a folder on another disk",
        )


@contextmanager
def _restore_scheduling() -> Iterator[None]:
    """Restore the scheduling policy of this thread, and set that of threads started meanwhile.

    If permitted (as root), SVT-AV1 gives the thread that opens it, and its own threads, real-time scheduling with
    the highest priority. They then preempt everything else, and a spinning wait for another thread never ends.
    """
    try:
        policy, priority, before = os.sched_getscheduler(0), os.sched_getparam(0), _thread_ids()
    except (AttributeError, OSError):  # not supported, or forbidden in a sandbox
        yield
        return
    try:
        yield
    finally:
        for thread in {0, *(_thread_ids() - before)}:
            with suppress(OSError):  # the thread has ended
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, priority)


def _thread_ids() -> set[int]:
    """Return the ids of this process's threads, or an empty set if the system does not list them."""
    with suppress(OSError):
        return {int(task.name) for task in Path("/proc/self/task").iterdir()}
    return set()


def _check_size(hw: HW, codec: str) -> None:
    """Raise ImageSizeError for a size that the codec's encoder does not support."""
    (height, width), (most_h, most_w) = hw, _MAX_HW[codec]
    least_h, least_w = _MIN_HW.get(codec, (1, 1))
    if not (least_h <= height <= most_h and least_w <= width <= most_w):
        raise ImageSizeError(
            f"{codec} does not support {width} x {height} pixels, only {least_w} x {least_h} to {most_w} x {most_h}",
            hint=_HINT,
        )
