"""Read video files: every frame, upright, with its presentation time, and a report of what could not be read."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from av.video.reformatter import VideoReformatter

from quadrat.errors import ImageSizeError, QuadratError, VideoFormatError, VideoTruncatedError
from quadrat.geometry import HW
from quadrat.media.aspect import INTERLACED, display_hw
from quadrat.media.clock import MAX_STEP_S, Clock
from quadrat.media.colors import to_rgb
from quadrat.media.container import MAX_VIDEO_PIXELS, OpenVideo, open_container, stated_rate
from quadrat.media.decoding import Decoder
from quadrat.media.exif import upright
from quadrat.media.orientation import ROTATIONS, orientation_of
from quadrat.media.sampling import Sampling
from quadrat.media.scale import scaled
from quadrat.media.size import working_hw
from quadrat.parameters import FrameSettings
from quadrat.types import Frame, FrameKey, ImageU8, Reading, Source

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_MAX_DAMAGED = 10_000
_CHUNK = 1 << 20


def open_video(path: Path, source: Source, frames: FrameSettings) -> VideoReader:
    """Open a video file and decode its first frame, to find size and rotation.

    Raises VideoFormatError for a file that is not a supported video or has no video stream, ImageSizeError for
    frames that are too large, and VideoTruncatedError if no frame can be decoded.
    """
    opened = open_container(path, source.name)
    try:
        return VideoReader(opened, source, frames)
    except BaseException:
        opened.close()
        raise


class VideoReader:
    """Reads a video file once, in order.

    Frames are RGB at working size, upright by the file's display matrix, and of the shape that players show: pixels
    that are not square are made square. Times are the file's own, starting at 0.
    A frame's index counts all frames before it, including damaged ones. If the frame size changes, later frames
    are scaled to the size of the first, as players do, so that boxes, tracks and the annotated video share one
    coordinate frame; `reading.error` states when it changes.

    Reading a file twice gives the same pixels. `close` may be called from any thread.
    """

    def __init__(self, opened: OpenVideo, source: Source, frames: FrameSettings) -> None:
        self._opened = opened
        self._source = source
        self._sampling = Sampling(frames)
        self._reformatter = VideoReformatter()
        self._stop = threading.Event()
        self._in_use = threading.Lock()
        self._decoder = Decoder(opened, self._stop)
        self._frames = iter(self._decoder)
        self._count = self._damaged = self._interlaced = 0
        self._damaged_at_s = self._resized_at_s = -1.0
        self.reading = _read_header(opened)
        self._clock = Clock(opened.stream.time_base, self.reading.rate, coded_order=opened.in_coded_order)
        self._first = self._next()
        if self._first is None:
            raise self._no_frame_error()
        self._stored_hw: HW = (self._first.height, self._first.width)
        self._turn = orientation_of(self._first)
        shown = self._shown_hw()
        self._hw: HW = shown[::-1] if self._turn >= 5 else shown
        working = working_hw(self._hw, frames.max_img_size)
        self._working: HW = working[::-1] if self._turn >= 5 else working
        self.reading = replace(self.reading, hw=self._hw, rotation=ROTATIONS[self._turn])

    def _shown_hw(self) -> HW:
        """Return the size at which players show the stored frame, before it is turned upright."""
        aspect = self._opened.stream.sample_aspect_ratio
        shown = display_hw(self._stored_hw, aspect)
        if shown is None:
            text = f"its pixel aspect of {aspect} is not plausible and was ignored"
            self.reading = replace(self.reading, warnings=(*self.reading.warnings, text))
        elif aspect is not None and shown != self._stored_hw:
            self.reading = replace(self.reading, pixel_aspect=f"{aspect.numerator}:{aspect.denominator}")
        return shown or self._stored_hw

    def __iter__(self) -> Iterator[Frame]:
        """Yield the selected frames."""
        try:
            while (frame := self._next_selected()) is not None:
                yield frame
            self._complete()
        finally:
            self.close()

    def close(self) -> None:
        """Stop reading; thread-safe. A running iteration ends soon."""
        self._stop.set()
        if self._in_use.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._in_use.release()

    def _next_selected(self) -> Frame | None:
        """Return the next selected frame, or None at the end."""
        with self._in_use:
            while not self._stop.is_set():
                raw, self._first = self._first or self._next(), None
                if raw is None:
                    break
                index, time_s = self._count - 1, self._clock.add(raw)
                taken = self._sampling.selects(index, time_s)
                if self._resized_at_s < 0 and (raw.height, raw.width) != self._stored_hw:
                    self._resized_at_s = time_s
                self._interlaced += raw.interlaced_frame
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
        """Return the next intact frame, counting the damaged ones before it."""
        for raw in self._frames:
            self._count += 1
            if raw is not None:
                return raw
            if not self._damaged:
                self._damaged_at_s = self._clock.end_s
            self._damaged += 1
            if not self.reading.read and self._damaged > _MAX_DAMAGED:
                return None
            self.reading = replace(self.reading, damaged=self._damaged)
        return None

    def _pixels(self, raw: VideoFrame) -> ImageU8:
        return upright(scaled(to_rgb(raw, self._reformatter), self._working), self._turn)

    def _complete(self) -> None:
        """Complete the reading after the last frame, unless it was stopped."""
        with self._in_use:
            if not self._stop.is_set():
                rate = self.reading.rate or self._clock.mean_rate(self.reading.read)
                self.reading = replace(
                    self.reading,
                    rate=rate,
                    error=self._fault(),
                    digest=self._digest(),
                    warnings=self._warnings(),
                )

    def _release(self) -> None:
        self._stop.set()
        self._first = None
        self._frames = iter(())
        self._opened.close()

    def _digest(self) -> str:
        """Return the sha256 of the file, or "" if reading is stopped or the disk fails."""
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
        """Return True if frames are missing at the end.

        The frame count in the header is not sufficient: an edit list may omit frames on purpose.
        """
        stated = self.reading
        # Without a frame count, only the duration is left, which some writers round or measure from the first packet.
        slack = self._clock.step * (4 if stated.declared_frames is None else 0.5)
        short = stated.declared_frames is None or self._decoder.packets < stated.declared_frames
        late = stated.declared_s is not None and self._decoder.end_s < stated.declared_s - slack
        return short and (late or self._opened.is_truncated())

    def _fault(self) -> QuadratError | None:
        """Return an error that explains what could not be measured, or None."""
        faults = []
        whole = self.reading.read + self._damaged
        if self._ends_early():
            faults.append(f"the file ends early: it contains {self._readable_part()}")
        elif self._decoder.failure:
            faults.append(f"reading failed after {whole} frames ({self._decoder.failure})")
        headless = self._decoder.headless
        if headless:
            faults.append(
                f"the first {headless} of {whole} frames cannot be decoded, because they depend on frames before the "
                "start of the file"
            )
        if self._damaged > headless:
            faults.append(
                f"{self._damaged - headless} of {whole} frames are damaged, the first at {self._damaged_at_s:.2f} s, "
                "and were skipped"
            )
        if self._clock.jumps:
            faults.append(
                f"{self._clock.jumps} timestamps jump ahead by more than {MAX_STEP_S / 3600:.0f} hours, and its times "
                "continue without the jump"
            )
        hint = "Copy it again from the camera"
        if self._resized_at_s >= 0:
            height, width = self._hw
            faults.append(
                f"from {self._resized_at_s:.2f} s on, frames have another size and were scaled to {width} x {height}"
            )
            hint = hint if len(faults) > 1 else "Split it there into two videos"
        kind = VideoFormatError if self._resized_at_s >= 0 and len(faults) == 1 else VideoTruncatedError
        return kind("; ".join(faults), where=self._source.name, hint=hint) if faults else None

    def _warnings(self) -> tuple[str, ...]:
        """Return what makes the measurement doubtful, although every frame was read."""
        found = self.reading.warnings
        if self._interlaced:
            found += (f"{self._interlaced} of {self.reading.read} frames are {INTERLACED}",)
        return found

    def _readable_part(self) -> str:
        """Describe how much of the declared frames or duration could be read."""
        now, whole = self.reading, self.reading.read + self._damaged
        if now.declared_frames:
            return f"{whole} of {now.declared_frames} frames"
        if now.declared_s:
            return f"{self._decoder.end_s:.1f} of {now.declared_s:.1f} s ({whole} frames)"
        return f"{whole} frames"

    def _no_frame_error(self) -> QuadratError:
        if 0 in self.reading.hw:  # the decoder rejected the size in the header
            return ImageSizeError(
                f"its frame size is unknown or exceeds the limit of {MAX_VIDEO_PIXELS // 10**6} million pixels",
                where=self._source.name,
                hint="Scale the video down",
            )
        declared = self.reading.declared_frames
        what = f"none of its {declared} frames can be decoded" if declared else "no frame can be decoded"
        return VideoTruncatedError(what, where=self._source.name, hint="Copy it again from the camera")


def _read_header(opened: OpenVideo) -> Reading:
    """Return what the headers state; the caller replaces size and rotation by those of the first frame."""
    stream, container = opened.stream, opened.container
    seconds = container.duration / 1e6 if container.duration else None
    return Reading(
        hw=(stream.codec_context.height, stream.codec_context.width),
        rate=stated_rate(container, stream),
        declared_frames=stream.frames or None,
        declared_s=seconds,
        codec=stream.codec_context.codec.canonical_name,
        warnings=tuple(opened.warnings),
    )
