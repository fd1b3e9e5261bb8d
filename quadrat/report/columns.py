"""The predictions of a source as columns, frame by frame and without pixels. Tables are made from them.

Frames are kept in chunks. A short source has one chunk, in memory. A long one writes its chunks to a file, so that
memory does not grow with the number of frames.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW
from quadrat.types import Frame

CHUNK_FRAMES = 256
CHUNK_ROWS = 4096
"""A chunk is complete at this many frames or rows."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One frame of a source: `index` in it, `time_s` (None for a picture), `skipped` reason or "", `hw` at the source.

    `file` is the name of a sequence's picture.
    """

    index: int
    time_s: float | None
    skipped: str
    hw: HW
    file: str = ""

    @classmethod
    def of(cls, frame: Frame) -> FrameRow:
        """Describe a frame."""
        return cls(frame.key.index, frame.time_s, frame.skipped, frame.source_hw, frame.file)


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some frames in order: frame i has the rows `starts[i]` to `starts[i + 1]` of every column."""

    frames: tuple[FrameRow, ...]
    starts: tuple[int, ...]
    columns: Arrays

    def rows(self, place: int) -> slice:
        """Return the rows of the frame at this place in the chunk."""
        return slice(self.starts[place], self.starts[place + 1])


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The predictions of a finished source. `last` is in memory; the chunks before it are in the file `path`."""

    last: Chunk
    path: Path | None = None

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the chunks in order."""
        if self.path is not None:
            with self.path.open("rb") as file:
                while file.peek(1):
                    yield pickle.load(file)  # noqa: S301 - written by this order
        yield self.last

    def frames(self) -> Iterator[FrameRow]:
        """Yield the frames in order."""
        for chunk in self:
            yield from chunk.frames


@dataclass(slots=True)
class ColumnWriter:
    """Collects the frames of one source; chunks go to `path` once there is more than one."""

    path: Path
    _frames: list[FrameRow] = field(default_factory=list)
    _starts: list[int] = field(default_factory=lambda: [0])
    _arrays: list[Arrays] = field(default_factory=list)
    _spilled: bool = False

    def add(self, frame: Frame, arrays: Arrays, rows: int) -> None:
        """Add a frame with its `rows` rows of each column; a skipped frame has none."""
        if len(self._frames) >= CHUNK_FRAMES or self._starts[-1] >= CHUNK_ROWS:
            with self.path.open("ab" if self._spilled else "wb") as file:
                pickle.dump(self._chunk(), file, protocol=pickle.HIGHEST_PROTOCOL)
            self._spilled = True
            self._frames, self._starts, self._arrays = [], [0], []
        self._frames.append(FrameRow.of(frame))
        self._starts.append(self._starts[-1] + rows)
        if rows:
            self._arrays.append(arrays)

    def finish(self) -> Columns:
        """Return the columns of all frames."""
        return Columns(self._chunk(), self.path if self._spilled else None)

    def _chunk(self) -> Chunk:
        names = self._arrays[0] if self._arrays else ()
        columns = {name: np.concatenate([arrays[name] for arrays in self._arrays]) for name in names}
        return Chunk(tuple(self._frames), tuple(self._starts), columns)
