"""Read a folder of pictures as frames, ordered by name, at a fixed rate."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from quadrat.errors import InputError, QuadratError, VideoFormatError, VideoTruncatedError
from quadrat.formats import skip_reason
from quadrat.geometry import HW
from quadrat.media import images
from quadrat.media.depth import VALUES
from quadrat.media.sampling import Sampling
from quadrat.media.scale import scaled
from quadrat.media.size import working_hw
from quadrat.parameters import FrameSettings
from quadrat.stores.listing import list_frames
from quadrat.types import Blob, Frame, FrameKey, Reading, Source


def open_sequence(folder: Path, source: Source, frames: FrameSettings) -> SequenceReader:
    """Open a folder of pictures as a sequence of `sequence-rate` frames per second, in natural order of names.

    The first readable picture is decoded here, to find the size. Raises VideoFormatError for a folder without
    pictures, and VideoTruncatedError if none of them can be read.
    """
    try:
        pictures = list_frames(folder)
        videos = any(skip_reason(path.name, moving=True) is None for path in folder.iterdir())
    except OSError as error:
        raise VideoFormatError(f"the folder cannot be read ({error.strerror})", where=source.name) from error
    if not pictures:
        what = "the folder contains videos but no pictures" if videos else "the folder contains no pictures"
        hint = "Give one video at a time" if videos else "Give JPEG or PNG pictures"
        raise VideoFormatError(what, where=source.name, hint=hint)
    return SequenceReader([folder / name for name in sorted(pictures, key=natural_key)], source, frames)


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key that places img2 before img10; ties are sorted by the plain name."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple(int(part) if n % 2 else part for n, part in enumerate(parts)), name


class SequenceReader:
    """Reads a folder of pictures once, in order.

    A picture's index is its position among all pictures of the folder, and its time is index / rate. An unreadable
    picture is counted as a damaged frame and skipped. Pictures of another size than the first are scaled to it, as
    in a video, and `reading.error` names the first of them. `reading.digest` covers the bytes of all files in order.
    """

    def __init__(self, paths: list[Path], source: Source, frames: FrameSettings) -> None:
        self._source = source
        self._settings = frames
        self._sampling = Sampling(frames)
        self._stop = threading.Event()
        self._digest = hashlib.sha256()
        self._lost = False
        self._damage = ""
        self._resized = self._guessed = ""
        self._files = enumerate(paths)
        rate, count = frames.sequence_rate, len(paths)
        self.reading = Reading(
            hw=(0, 0),
            rate=rate,
            declared_frames=count,
            declared_s=count / rate,
            codec="images",
        )
        self._hw: HW = (0, 0)
        self._working: HW = (0, 0)
        self._first = self._next()
        if self._first is None:
            raise VideoTruncatedError(
                f"none of the {count} pictures can be read: {self._damage}", where=source.name
            )

    def __iter__(self) -> Iterator[Frame]:
        """Yield the selected frames."""
        while not self._stop.is_set():
            frame, self._first = self._first or self._next(), None
            if frame is None:
                break
            taken = self._sampling.selects(frame.key.index, frame.time_s or 0.0)
            now, seconds = self.reading, (frame.key.index + 1) / self._settings.sequence_rate
            self.reading = replace(now, read=now.read + 1, taken=now.taken + taken, seconds=seconds)
            if taken:
                yield frame
        if not self._stop.is_set():
            whole = self.reading.declared_s or 0.0  # includes damaged pictures at the end
            digest = "" if self._lost else self._digest.hexdigest()
            self.reading = replace(self.reading, seconds=whole, digest=digest, error=self._fault())

    def close(self) -> None:
        """Stop reading; thread-safe. The iteration ends after the current picture."""
        self._stop.set()

    def _next(self) -> Frame | None:
        """Decode the next readable picture, counting unreadable ones."""
        for index, path in self._files:
            if self._stop.is_set():
                return None
            try:
                key = FrameKey(self._source.urn, index)
                bits = self._settings.sample_bits
                frame = images.decode(Blob(path), key, -1, with_facts=False, sample_bits=bits)
                self._digest.update(path.read_bytes())
                return self._scaled(frame, path)
            except (InputError, OSError) as error:
                self._lost = self._lost or isinstance(error, OSError)  # the disk is at fault, not the picture
                what = error.what if isinstance(error, QuadratError) else str(error.strerror)
                self._damage = self._damage or f"{path.name}: {what}"
                self.reading = replace(self.reading, damaged=self.reading.damaged + 1)
        return None

    def _scaled(self, frame: Frame, path: Path) -> Frame:
        """Return the frame at working size, with the sequence's size and times."""
        if self._hw == (0, 0):
            self._hw = frame.source_hw
            self._working = working_hw(self._hw, self._settings.max_img_size)
            self.reading = replace(self.reading, hw=self._hw)
        elif frame.source_hw != self._hw and not self._resized:
            self._resized = path.name
        if frame.depth is not None and frame.depth.source == VALUES and not self._guessed:
            self._guessed = (
                f"the bits of its samples were guessed, the first time in {path.name}: {frame.depth.bits}"
            )
            self.reading = replace(self.reading, warnings=(*self.reading.warnings, self._guessed))
        pixels = scaled(frame.pixels, self._working)
        time_s = frame.key.index / self._settings.sequence_rate
        return replace(frame, source_hw=self._hw, pixels=pixels, time_s=time_s, file=path.name)

    def _fault(self) -> QuadratError | None:
        faults = []
        if self.reading.damaged:
            faults.append(f"{self.reading.damaged} of {self.reading.declared_frames} pictures cannot be read, "
                          f"the first is {self._damage}")  # fmt: skip
        if self._resized:
            height, width = self._hw
            faults.append(
                f"from {self._resized} on, some have another size and were scaled to {width} x {height}"
            )
        kind = VideoTruncatedError if self.reading.damaged else VideoFormatError
        return kind("; ".join(faults), where=self._source.name) if faults else None
