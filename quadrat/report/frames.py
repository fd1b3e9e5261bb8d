"""frames.csv: one row for each frame of every video, with the values of all models side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from quadrat.records import SourceRecord
from quadrat.report.aspects import table_aspect
from quadrat.report.base import ClassValue, ListsFrames, ModelFacts, Tables, plain
from quadrat.report.columns import FrameRow
from quadrat.report.images import class_columns, number
from quadrat.report.names import Names
from quadrat.report.spool import Spool
from quadrat.report.survey import csv_line
from quadrat.stores.addresses import shown
from quadrat.types import Product, Source

FILE = "frames.csv"
COLUMNS = ("source", "name", "file", "frame", "time_s", "skipped")
Framed = tuple[FrameRow, list[ClassValue]]


class FrameTable:
    """Folds records into frames.csv, if there are several models and videos.

    `tables` are those of each model, by model name; they know all classes when the first record comes. All models get
    the same frames of a source in the same order. A cell is empty if its model did not measure the frame.
    """

    def __init__(
        self, models: Sequence[ModelFacts], tables: Mapping[str, Tables], names: Names, folder: Path
    ) -> None:
        self._models = models
        self._tables: dict[str, ListsFrames] = {}
        self._all = tables
        if len(models) > 1:
            self._tables = {name: table for name, table in tables.items() if isinstance(table, ListsFrames)}
            self._name = names.whole(FILE)
        self._file = folder / "frames.csv"
        self._lines: Spool | None = None
        self._names: dict[str, dict[int, str]] = {}
        self._columns: list[str] = []

    def add(self, record: SourceRecord) -> None:
        """Write the frames of a video, sequence or stream; ignore images and sources that were not read."""
        if not self._tables or record.reading is None:
            return
        lines = self._begun()
        parts = {part.model: part for part in record.models if part.model in self._tables}
        every = [self._tables[model].frames(part) for model, part in parts.items()]
        for row in zip_longest(*every):
            lines.write(csv_line(self._row(record.source, list(parts), row)))

    def products(self) -> Iterator[Product]:
        """Yield frames.csv, if it has rows; OSError if it could not be written."""
        if self._lines is not None:
            self._lines.flush()
            metadata = table_aspect(
                "frames", self._columns, self._models[0].provenance, self._lines.count - 1
            )
            yield Product(self._name, "text/csv", self._lines.path, metadata)

    def _begun(self) -> Spool:
        if self._lines is None:
            labels = {model.name: model.label for model in self._models}
            self._names = {
                name: dict(class_columns(self._all[name], f"{labels[name]}.")) for name in self._tables
            }
            self._columns = [*COLUMNS, *(each for names in self._names.values() for each in names.values())]
            self._lines = Spool(self._file)
            self._lines.write(csv_line(self._columns))
        return self._lines

    def _row(self, source: Source, models: Sequence[str], framed: Sequence[Framed | None]) -> list[object]:
        """Join what the models found in one frame. It is skipped only if all models skipped it."""
        frame = next(each[0] for each in framed if each is not None)
        skipped = "" if any(each is not None and not each[0].skipped for each in framed) else frame.skipped
        time_s = "" if frame.time_s is None else f"{frame.time_s:.6f}"
        cells: dict[str, object] = {}
        for model, each in zip(models, framed, strict=True):
            for value in [] if each is None else each[1]:
                cells[self._names[model][value.info.index]] = number(value.value)
        place = [plain(shown(text, source)) for text in (source.urn, source.name)]
        head = [*place, plain(frame.file), frame.index, time_s, skipped]
        return [*head, *(cells.get(column, "") for column in self._columns[len(COLUMNS) :])]
