"""Video files to frames: every frame, upright, with its presentation time, and what could not be read."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from av.video.reformatter import VideoReformatter

from quadrat.errors import ImageSizeError, QuadratError, VideoFormatError, VideoTruncatedError
from quadrat.geometry import HW
from quadrat.media.colors import to_rgb
from quadrat.media.container import MAX_VIDEO_PIXELS, Opened, open_container
from quadrat.media.decoding import Decoder
from quadrat.media.exif import upright
from quadrat.media.orientation import TURNS, orientation_of
from quadrat.media.sampling import Sampling
from quadrat.media.scale import scaled
from quadrat.media.size import working_hw
from quadrat.parameters import FrameSettings
from quadrat.types import Frame, FrameKey, ImageU8, Reading, Source

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_FASTEST = 1000
_HOPELESS = 10_000
_CHUNK = 1 << 20


def open_video(path: Path, source: Source, frames: FrameSettings) -> VideoReader:
    """Open a video file; its first frame is decoded here already, so that size and rotation are known.

    Raises VideoFormatError for what is no video that we read or has no pictures, ImageSizeError for too large
    frames, VideoTruncatedError where not one frame can be decoded.
    """
    opened = open_container(path, source.name)
    try:
        return VideoReader(opened, source, frames)
    except BaseException:
        opened.close()
        raise


class VideoReader:
    """Reads a video file once, in order.

    Frames are upright (turned by the file's display matrix) RGB at working size; their times are the file's own,
    from 0 for the first frame on. A frame's index counts all frames before it, damaged ones too. Where the size
    changes in the middle, the frames after it are scaled to the size of the first, as players do: all boxes, tracks
    and the annotated video then have one frame of reference, and `reading.error` says from when on.

    Two readings of a file give the same pixels. `close` may be called from any thread.
    """

    def __init__(self, opened: Opened, source: Source, frames: FrameSettings) -> None:
        self._opened = opened
        self._source = source
        self._sampling = Sampling(frames)
        self._reformatter = VideoReformatter()
        self._stop = threading.Event()
        self._in_use = threading.Lock()
        self._decoder = Decoder(opened, self._stop)
        self._frames = iter(self._decoder)
        self._count = self._damaged = 0
        self._damaged_at_s = self._resized_at_s = -1.0
        self.reading = _declared(opened)
        self._clock = _Clock(opened.stream.time_base, self.reading.rate)
        self._first = self._next()
        if self._first is None:
            raise self._nothing()
        self._stored_hw: HW = (self._first.height, self._first.width)
        self._turn = orientation_of(self._first)
        self._hw: HW = self._stored_hw[::-1] if self._turn >= 5 else self._stored_hw
        working = working_hw(self._hw, frames.max_img_size)
        self._working: HW = working[::-1] if self._turn >= 5 else working
        self.reading = replace(self.reading, hw=self._hw, rotation=TURNS[self._turn])

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames taken."""
        try:
            while (frame := self._step()) is not None:
                yield frame
            self._complete()
        finally:
            self.close()

    def close(self) -> None:
        """Stop, from any thread; the iteration ends soon, if it is under way."""
        self._stop.set()
        if self._in_use.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._in_use.release()

    def _step(self) -> Frame | None:
        """Give the next frame that is taken, None at the end."""
        with self._in_use:
            while not self._stop.is_set():
                raw, self._first = self._first or self._next(), None
                if raw is None:
                    break
                index, time_s = self._count - 1, self._clock.at(raw)
                taken = self._sampling.takes(index, time_s)
                if self._resized_at_s < 0 and (raw.height, raw.width) != self._stored_hw:
                    self._resized_at_s = time_s
                self.reading = replace(
                    self.reading,
                    read=self.reading.read + 1,
                    taken=self.reading.taken + taken,
                    seconds=self._clock.end_s,
                )
                if taken:
                    key = FrameKey(self._source.urn, index)
                    return Frame(key, self._hw, self._pixels(raw), time_s=time_s)
        return None

    def _next(self) -> VideoFrame | None:
        """Give the next whole frame, counting the damaged ones before it."""
        for raw in self._frames:
            self._count += 1
            if raw is not None:
                return raw
            if not self._damaged:
                self._damaged_at_s = self._clock.end_s
            self._damaged += 1
            if not self.reading.read and self._damaged > _HOPELESS:
                return None
            self.reading = replace(self.reading, damaged=self._damaged)
        return None

    def _pixels(self, raw: VideoFrame) -> ImageU8:
        return upright(scaled(to_rgb(raw, self._reformatter), self._working), self._turn)

    def _complete(self) -> None:
        """Complete the reading, once the frames have ended by themselves."""
        with self._in_use:
            if not self._stop.is_set():
                rate = self.reading.rate or self._clock.mean_rate(self.reading.read)
                self.reading = replace(self.reading, rate=rate, error=self._fault(), digest=self._digest())

    def _release(self) -> None:
        self._stop.set()
        self._first = None
        self._frames = iter(())
        self._opened.close()

    def _digest(self) -> str:
        """Give the sha256 of the file's bytes, nothing where the reading is stopped or the disk fails."""
        digest, file = hashlib.sha256(), self._opened.file
        with suppress(OSError):
            file.seek(0)
            while chunk := file.read(_CHUNK):
                if self._stop.is_set():
                    return ""
                digest.update(chunk)
            return digest.hexdigest()
        return ""

    def _ends_early(self) -> bool:
        """Whether frames are missing at the end.

        The number of frames that a header states is not enough: an edit list may leave some out on purpose.
        """
        stated = self.reading
        # Without a number there is only the duration, which some writers round, or count from the first packet.
        slack = self._clock.step * (4 if stated.declared_frames is None else 0.5)
        short = stated.declared_frames is None or self._decoder.packets < stated.declared_frames
        late = stated.declared_s is not None and self._decoder.end_s < stated.declared_s - slack
        return short and (late or self._opened.is_cut())

    def _fault(self) -> QuadratError | None:
        """Say why the video is measured only in part, None where it is whole."""
        said = []
        whole = self.reading.read + self._damaged
        if self._ends_early():
            said.append(f"the file ends early: {self._part()} are in it")
        elif self._decoder.failure:
            said.append(f"after {whole} frames it cannot be read further ({self._decoder.failure})")
        if self._damaged:
            said.append(
                f"{self._damaged} of {whole} frames are damaged, the first at {self._damaged_at_s:.2f} s, "
                "and are left out"
            )
        hint = "Copy it again from the camera"
        if self._resized_at_s >= 0:
            height, width = self._hw
            said.append(
                f"from {self._resized_at_s:.2f} s on frames are of another size, and were scaled to {width} x {height}"
            )
            hint = hint if len(said) > 1 else "Cut it there into two videos"
        kind = VideoFormatError if self._resized_at_s >= 0 and len(said) == 1 else VideoTruncatedError
        return kind("; ".join(said), where=self._source.name, hint=hint) if said else None

    def _part(self) -> str:
        """Say how much of what the headers declare could be read, by their own unit."""
        now, whole = self.reading, self.reading.read + self._damaged
        if now.declared_frames:
            return f"{whole} frames of {now.declared_frames}"
        if now.declared_s:
            return f"{self._decoder.end_s:.1f} of {now.declared_s:.1f} s ({whole} frames)"
        return f"{whole} frames"

    def _nothing(self) -> QuadratError:
        if 0 in self.reading.hw:  # the decoder refused the size that the header states
            return ImageSizeError(
                f"the size of its frames is unknown, or more than {MAX_VIDEO_PIXELS // 10**6} million pixels",
                where=self._source.name,
                hint="Shrink the video",
            )
        of = self.reading.declared_frames
        what = f"not one of {of} frames can be decoded" if of else "not one frame can be decoded"
        return VideoTruncatedError(what, where=self._source.name, hint="Copy it again from the camera")


class _Clock:
    """Presentation times in seconds from the first frame on; they always grow."""

    def __init__(self, base: Fraction | None, rate: float | None) -> None:
        self._base = base or Fraction(0)
        self.step = 1 / rate if rate else 0.04
        self.end_s = 0.0
        self._first: int | None = None
        self._shift = 0.0
        self._last = -1.0

    def at(self, raw: VideoFrame) -> float:
        """Give a frame's time; one without, or with one that goes back, comes a step after the frame before."""
        pts = raw.pts if raw.pts is not None else raw.dts
        if pts is None:
            time_s = 0.0 if self._last < 0 else self._last + self.step
        else:
            if self._first is None:
                self._first = pts
            time_s = float((pts - self._first) * self._base) + self._shift
            if time_s <= self._last:
                self._shift += self._last + self.step - time_s
                time_s = self._last + self.step
        self._last = time_s
        lasts = float((getattr(raw, "duration", 0) or 0) * self._base)
        self.end_s = time_s + (lasts or self.step)
        return time_s

    def mean_rate(self, frames: int) -> float | None:
        """Give the frames per second seen, None for a single one."""
        return (frames - 1) / self._last if frames > 1 and self._last > 0 else None


def _declared(opened: Opened) -> Reading:
    """Give what the headers say; size and rotation are the first frame's and come later."""
    stream, container = opened.stream, opened.container
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    seconds = container.duration / 1e6 if container.duration else None
    return Reading(
        hw=(stream.codec_context.height, stream.codec_context.width),
        rate=rate if 0 < rate <= _FASTEST else None,
        declared_frames=stream.frames or None,
        declared_s=seconds,
        codec=stream.codec_context.codec.canonical_name,
    )
