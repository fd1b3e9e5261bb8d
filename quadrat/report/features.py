"""features.npz: the vectors of one model, with the source, frame, time, box and track of each."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

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
_COLUMNS: Mapping[str, Any] = {
    "frames": np.dtype("<i8"), "times": np.dtype("<f8"), "boxes": np.dtype(("<f4", (4,))), "tracks": np.dtype("<i4"),
}  # fmt: skip


class FeatureFile:
    """Folds records into the features file of one model.

    Vectors go to a temporary file as they come, and from there into the archive, so that memory does not grow with
    their number; names and positions take some bytes for each row.
    """

    def __init__(self, model: ModelFacts, names: Names, folder: Path) -> None:
        self._model = model
        self._names = names
        self._raw = folder / model.temporary_name("features", ".vectors")
        self._out = folder / model.temporary_name("features", ".npz")
        self._sources: list[str] = []
        self._source: list[int] = []
        self._rows: list[tuple[int, float, tuple[float, ...], int]] = []
        self._length = 0
        self._error: OSError | None = None
        self._raw.unlink(missing_ok=True)

    def add(self, record: SourceRecord) -> None:
        """Add the vectors of a source."""
        own = [(frame, each) for frame, each in entries_of(record) if self._model.name in each.vectors]
        if not own or self._error is not None:
            return
        source = record.source
        self._sources.append(plain(shown(source.name, source)))
        try:
            with self._raw.open("ab") as file:
                for frame, each in own:
                    vector = each.vectors[self._model.name]
                    self._length = len(vector)
                    file.write(np.ascontiguousarray(vector, "<f4").tobytes())
                    time_s = np.nan if frame.time_s is None else frame.time_s
                    box = (np.nan,) * 4 if each.box is None else each.box
                    self._rows.append((frame.index, time_s, box, each.track))
                    self._source.append(len(self._sources) - 1)
        except OSError as error:
            self._error = error

    def products(self) -> Iterator[Product]:
        """Yield the file if there is a vector; OSError if it cannot be written."""
        if self._error is not None:
            raise self._error
        if not self._rows:
            return
        self._write()
        columns = ["vectors", "names", *_COLUMNS]
        aspect = table_aspect("features", columns, self._model.provenance, len(self._rows))
        aspect |= {"dimension": self._length, "metric": "cosine", "length": 1}
        name = self._model.table_name(self._names, FILE)
        yield Product(name, "application/x-npz", self._out, aspect)
        self._raw.unlink(missing_ok=True)

    def _write(self) -> None:
        with zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED) as archive:
            self._member(archive, "vectors", np.dtype("<f4"), (self._length,), self._vectors())
            width = max(1, *map(len, self._sources))
            self._member(archive, "names", np.dtype(f"<U{width}"), (), self._names_of(width))
            for place, (name, kind) in enumerate(_COLUMNS.items()):
                self._member(archive, name, kind.base, kind.shape, self._blocks(place, kind))

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
            header = {"descr": kind.str, "fortran_order": False, "shape": (len(self._rows), *shape)}
            np.lib.format.write_array_header_1_0(_writable(file), header)
            for block in blocks:
                file.write(block)

    def _vectors(self) -> Iterator[bytes]:
        with self._raw.open("rb") as file:
            while block := file.read(1 << 22):
                yield block

    def _names_of(self, width: int) -> Iterator[bytes]:
        for start in range(0, len(self._source), BLOCK):
            names = [self._sources[each] for each in self._source[start : start + BLOCK]]
            yield np.array(names, f"<U{width}").tobytes()

    def _blocks(self, place: int, kind: np.dtype[Any]) -> Iterator[bytes]:
        for start in range(0, len(self._rows), BLOCK):
            rows: NDArray[Any] = np.array([each[place] for each in self._rows[start : start + BLOCK]])
            yield rows.astype(kind.base).tobytes()


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
