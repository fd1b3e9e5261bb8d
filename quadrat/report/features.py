"""features.npz: the vectors of one model, with the source, frame, time, box and track of each."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import LayoutError
from quadrat.records import Entry, SourceRecord
from quadrat.report.aspects import table_aspect
from quadrat.report.base import ModelFacts, finished, plain
from quadrat.report.columns import Columns, FrameRow
from quadrat.report.entries import COLUMN
from quadrat.report.names import Names
from quadrat.stores.addresses import shown
from quadrat.types import Product

FILE = "features.npz"
BLOCK = 4096
"""Rows that are written at a time."""
_DATE = (1980, 1, 1, 0, 0, 0)
"""The date of each member, so that two runs give the same bytes."""
_PLACES = np.dtype(
    [("source", "<i8"), ("frames", "<i8"), ("times", "<f8"), ("boxes", "<f4", (4,)), ("tracks", "<i4")]
)
"""Where each vector belongs, as it lies in a temporary file."""
_COLUMNS = ("frames", "times", "boxes", "tracks")


class FeatureFile:
    """Folds records into the features file of one model.

    Vectors, their places and the names of sources go to temporary files as they come, and from there into the archive, so
    that memory does not grow with their number.
    """

    def __init__(self, model: ModelFacts, names: Names, folder: Path) -> None:
        self._model = model
        self._names = names
        self._vectors, self._places, self._sources, self._out = (
            folder / model.temporary_name("features", ending)
            for ending in (".vectors", ".places", ".sources", ".npz")
        )
        self._count = self._source = self._length = 0
        self._width = 1
        self._error: OSError | LayoutError | None = None
        for path in (self._vectors, self._places, self._sources):
            path.unlink(missing_ok=True)

    def add(self, record: SourceRecord) -> None:
        """Add the vectors of a source."""
        own = ((frame, each) for frame, each in entries_of(record) if self._model.name in each.vectors)
        if self._error is not None:
            return
        try:
            before = self._count
            while block := list(islice(own, BLOCK)):
                self._append(block)
            if self._count > before:
                name = plain(shown(record.source.name, record.source))
                self._width = max(self._width, len(name))
                with self._sources.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(name) + "\n")
                self._source += 1
        except (OSError, LayoutError) as error:
            self._error = error

    def _append(self, block: Sequence[tuple[FrameRow, Entry]]) -> None:
        vectors = [each.vectors[self._model.name] for _, each in block]
        places = np.zeros(len(block), _PLACES)
        places["source"] = self._source
        places["frames"] = [frame.index for frame, _ in block]
        places["times"] = [np.nan if frame.time_s is None else frame.time_s for frame, _ in block]
        places["boxes"] = [(np.nan,) * 4 if each.box is None else each.box for _, each in block]
        places["tracks"] = [each.track for _, each in block]
        self._length = self._length or len(vectors[0])
        if {len(vector) for vector in vectors} != {self._length}:  # of runs that were continued, for instance
            raise LayoutError(
                f"vectors of different lengths have no place in one {FILE}", where=self._model.name,
                hint="The length depends on the picture's size: add a resize to the archive's transforms",
            )  # fmt: skip
        with self._vectors.open("ab") as file:
            file.write(np.stack(vectors).astype("<f4").tobytes())
        with self._places.open("ab") as file:
            file.write(places.tobytes())
        self._count += len(block)

    def products(self) -> Iterator[Product]:
        """Yield the file if there is a vector; OSError if it cannot be written, LayoutError for different lengths."""
        if self._error is not None:
            raise self._error
        if not self._count:
            return
        self._write()
        columns = ["vectors", "names", *_COLUMNS]
        aspect = table_aspect("features", columns, self._model.provenance, self._count)
        aspect |= {"dimension": self._length, "metric": "cosine", "length": 1}
        name = self._model.table_name(self._names, FILE)
        yield Product(name, "application/x-npz", self._out, aspect)
        for path in (self._vectors, self._places, self._sources):
            path.unlink(missing_ok=True)

    def _write(self) -> None:
        with zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED) as archive:
            self._member(archive, "vectors", np.dtype("<f4"), (self._length,), _pieces(self._vectors))
            self._member(archive, "names", np.dtype(f"<U{self._width}"), (), self._names_of())
            for name in _COLUMNS:
                kind = _PLACES[name]
                self._member(archive, name, kind.base, kind.shape, self._column(name))

    def _member(
        self,
        archive: zipfile.ZipFile,
        name: str,
        kind: np.dtype[Any],
        shape: tuple[int, ...],
        blocks: Iterator[bytes],
    ) -> None:
        """Write one array: its header, then its rows."""
        info = zipfile.ZipInfo(f"{name}.npy", _DATE)
        info.compress_type = zipfile.ZIP_STORED if name == "vectors" else zipfile.ZIP_DEFLATED
        with archive.open(info, "w", force_zip64=True) as file:
            header = {"descr": kind.str, "fortran_order": False, "shape": (self._count, *shape)}
            np.lib.format.write_array_header_1_0(_writable(file), header)
            for block in blocks:
                file.write(block)

    def _blocks(self) -> Iterator[NDArray[Any]]:
        """Read the places back, BLOCK rows at a time."""
        for piece in _pieces(self._places, BLOCK * _PLACES.itemsize):
            yield np.frombuffer(piece, _PLACES)

    def _column(self, name: str) -> Iterator[bytes]:
        for block in self._blocks():
            yield np.ascontiguousarray(block[name]).tobytes()

    def _names_of(self) -> Iterator[bytes]:
        """Read the name of the source of each row; sources lie in the order of their rows."""
        with self._sources.open(encoding="utf-8") as file:
            place, name = -1, ""
            for block in self._blocks():
                rows = np.empty(len(block), f"<U{self._width}")
                for source in np.unique(block["source"]).tolist():
                    while place < source:
                        place, name = place + 1, json.loads(file.readline())
                    rows[block["source"] == source] = name
                yield rows.tobytes()


def _pieces(path: Path, size: int = 1 << 22) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(size):
            yield piece


def _writable(file: IO[bytes]) -> Any:
    """Return a member of an archive as numpy's writer takes it."""
    return file


class Features:
    """The features files of all models that give vectors."""

    def __init__(self, models: Sequence[ModelFacts], names: Names, folder: Path) -> None:
        self._files = [FeatureFile(model, names, folder) for model in models]

    def add(self, record: SourceRecord) -> None:
        """Add the vectors of a source."""
        if record.entries is not None:
            for file in self._files:
                file.add(record)

    def products(self) -> Iterator[Product]:
        """Yield a file for each model that gave a vector."""
        yield from finished(file.products() for file in self._files)


def entries_of(record: SourceRecord) -> Iterator[tuple[FrameRow, Entry]]:
    """Yield the entries of a record, each with its frame; none of an image that is skipped for its flags."""
    if not isinstance(record.entries, Columns) or record.status == "skipped":
        return
    for chunk in record.entries:
        for place, frame in enumerate(chunk.frames):
            for entry in chunk.columns[COLUMN][chunk.rows(place)] if chunk.columns else ():
                yield frame, entry
