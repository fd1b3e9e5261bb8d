"""Tables of classification: predictions.csv, frame-predictions.csv and predictions.jsonl, and rows of the survey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quadrat.records import ModelRecord, SourceRecord
from quadrat.report.aspects import table_aspect
from quadrat.report.base import ClassValue, ModelFacts, finished
from quadrat.report.classified_lines import (
    FRAMES,
    KEYS,
    PICTURES,
    columns_of,
    frame_lines,
    frames_of,
    json_frames,
    json_lines,
    picture_lines,
)
from quadrat.report.classified_values import MOST_CLASSES, absent, rule_of, summary_of
from quadrat.report.columns import Columns, FrameRow
from quadrat.report.names import Names
from quadrat.report.spool import Spool
from quadrat.report.survey import csv_line
from quadrat.types import ClassInfo, Product

TABLE, FRAME_TABLE, LINES = "predictions.csv", "frame-predictions.csv", "predictions.jsonl"


class LabelTables:
    """Folds labels into the tables of an order. The value of a class is 1 for a picture with its label, else 0."""

    measure = "count"

    def __init__(self, model: ModelFacts, names: Names, folder: Path, *_groups: object) -> None:
        self._model = model
        self._rule = rule_of(model)
        self._nothing = absent(self._rule)
        self._columns = {
            TABLE: columns_of(PICTURES, self._rule), FRAME_TABLE: columns_of(FRAMES, self._rule), LINES: KEYS,
        }  # fmt: skip
        self._names = {table: model.table_name(names, table) for table in self._columns}
        self._spools = {table: Spool(folder / f"table-{name}") for table, name in self._names.items()}
        for table in (TABLE, FRAME_TABLE):
            self._spools[table].write(csv_line(self._columns[table]))
        self._rows: Counter[str] = Counter()
        self._has_videos = False
        self._found: set[int] = set()
        self._sources: Counter[int] = Counter()

    def learn(self, record: ModelRecord) -> None:
        """Take note of the labels in a record, and of those of its frames."""
        self._found.update(info.index for info, _ in self._labels(record))
        if (summary := summary_of(record)) is not None:
            self._found.update(summary.seen)

    def classes(self) -> list[ClassInfo]:
        """List the names that labels can have, and what stands for none; of many, those that were found."""
        every = [*self._rule.names, self._nothing]
        return [info for info in every if len(every) <= MOST_CLASSES or info.index in self._found]

    def values(self, record: ModelRecord) -> list[ClassValue]:
        """Return 1 for each label of a source and 0 for all others; nothing if it was not measured."""
        found = {info.index for info, _ in self._labels(record)}
        return [ClassValue(info, int(info.index in found)) for info in self.classes()] if found else []

    def frames(self, record: ModelRecord) -> Iterator[tuple[FrameRow, list[ClassValue]]]:
        """Yield each frame of a video with 1 for each of its labels and 0 for all others; nothing if not measured."""
        classes = self.classes()
        for frame, verdict in (
            frames_of(record.columns, self._rule) if isinstance(record.columns, Columns) else ()
        ):
            labels = () if verdict is None else verdict.labels
            found = {label.index for label in labels} or {self._nothing.index}
            every = [] if verdict is None else classes
            yield frame, [ClassValue(info, int(info.index in found)) for info in every]

    def cells(self, record: ModelRecord) -> list[dict[str, Any]]:
        """Return one row for each label, or one that says that there is none."""
        return [
            {
                "class_id": "" if probability is None else info.id,
                "class": info.name,
                "mean_confidence": "" if probability is None else f"{probability:.6f}",
                "multi_label": "yes" if self._rule.multi_label else "",
            }
            for info, probability in self._labels(record)
        ]

    def count(self, record: ModelRecord) -> None:
        """Count the labels of a source."""
        self._sources.update(info.index for info, _ in self._labels(record))

    def totals(self) -> dict[str, Any]:
        """Return the number of sources with each label, and of those without one."""
        every = {info.index: info for info in (*self._rule.names, self._nothing)}
        listed = [
            {"id": every[index].id, "name": every[index].name, "sources": count}
            for index, count in sorted(self._sources.items())
            if index != self._nothing.index
        ]
        without = self._sources[self._nothing.index]
        return {"labels": listed, self._nothing.name.replace(" ", "-"): without}

    def add(self, source: SourceRecord, record: ModelRecord) -> None:
        """Write the labels of a source, and those of the frames of a video."""
        if isinstance(record.columns, Columns):
            self._has_videos = True
            self._write(FRAME_TABLE, frame_lines(source.source, record.columns, self._rule))
            self._write(LINES, json_frames(source.source, record.columns, self._rule))
        self._write(TABLE, picture_lines(source, record, self._rule))
        self._write(LINES, json_lines(source, record, self._rule))

    def unmeasured(self, source: SourceRecord) -> None:
        """Write the row of a source that failed or was not reached; files that are no such sources have none."""
        if source.status != "skipped" or source.image is not None or source.reading is not None:
            self._write(TABLE, picture_lines(source, None, self._rule))
            self._write(LINES, json_lines(source, None, self._rule))

    def products(self) -> Iterator[Product]:
        """Yield the tables; that of frames only if there was a video."""
        yield from finished(
            self._product(table, mime, kind)
            for table, mime, kind in (
                (TABLE, "text/csv", "predictions"),
                (FRAME_TABLE, "text/csv", "frame-predictions"),
                (LINES, "application/x-ndjson", "predictions"),
            )
            if table != FRAME_TABLE or self._has_videos
        )

    def _write(self, table: str, lines: Iterator[str]) -> None:
        self._rows[table] += self._spools[table].extend(lines)

    def _product(self, table: str, mime: str, kind: str) -> Iterator[Product]:
        spool = self._spools[table]
        spool.flush()
        metadata = table_aspect(kind, self._columns[table], self._model.provenance, self._rows[table])
        if spool.path.exists():
            yield Product(self._names[table], mime, spool.path, metadata)

    def _labels(self, record: ModelRecord) -> list[tuple[ClassInfo, float | None]]:
        """Return the labels of a source with their probabilities, or what stands for none; nothing if not measured."""
        summary = summary_of(record)
        if summary is None:
            return []
        labels = summary.first.labels
        return [(self._rule.names[label.index], label.probability) for label in labels] or [
            (self._nothing, None)
        ]
