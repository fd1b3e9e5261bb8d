"""detections.csv and detections.jsonl, written frame by frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from quadrat.report.base import plain
from quadrat.report.columns import FrameRow
from quadrat.report.rows import DetectionRow
from quadrat.report.spool import Spool
from quadrat.report.survey import csv_cell
from quadrat.stores.addresses import shown
from quadrat.types import ClassInfo, Source

COLUMNS = ("source", "name", "frame", "time_s", "track", "class_id", "class", "score", "x0", "y0", "x1", "y1")
ClassOf = Callable[[int], ClassInfo]


class ObjectWriter(Protocol):
    """Writes one table of all objects of an order, frame by frame, into the file that it was made with.

    `mime`, `kind` and `columns` describe the table; `rows` counts its rows.
    """

    mime: str
    kind: str
    columns: Sequence[str]
    rows: int

    def begin(self, source: Source) -> None:
        """Begin a source."""

    def frame(self, source: Source, frame: FrameRow, rows: Sequence[DetectionRow]) -> None:
        """Write one frame; a skipped one has its reason and no rows."""

    def finish(self, classes: Sequence[ClassInfo], info: Mapping[str, Any]) -> Path:
        """Complete the file and return its path; `info` describes what it was made with."""


class CsvWriter:
    """Writes detections.csv: a line for each object."""

    mime = "text/csv"
    kind = "detections"
    columns = COLUMNS

    def __init__(self, path: Path, class_of: ClassOf) -> None:
        self._lines = Spool(path)
        self._lines.write(",".join(COLUMNS) + "\r\n")
        self._class_of = class_of
        self._cells: dict[int, str] = {}
        self._head = ""
        self.rows = 0

    def begin(self, source: Source) -> None:
        """Begin a source."""
        self._head = "".join(f"{csv_cell(shown(text, source))}," for text in (source.urn, source.name))

    def frame(self, _source: Source, frame: FrameRow, rows: Sequence[DetectionRow]) -> None:
        """Write the objects of one frame."""
        time_s = "" if frame.time_s is None else f"{frame.time_s:.6f}"
        head = f"{self._head}{frame.index},{time_s},"
        self.rows += len(rows)
        self._lines.write("".join(self._line(head, row) for row in rows))

    def finish(self, _classes: Sequence[ClassInfo], _info: Mapping[str, Any]) -> Path:
        """Complete the file and return its path."""
        self._lines.flush()
        return self._lines.path

    def _line(self, head: str, row: DetectionRow) -> str:
        if row.index not in self._cells:
            info = self._class_of(row.index)
            self._cells[row.index] = f"{csv_cell(info.id)},{csv_cell(info.name)}"
        track = row.track if row.track >= 0 else ""
        return f"{head}{track},{self._cells[row.index]},{row.score},{row.corners}\r\n"


class JsonlWriter:
    """Writes detections.jsonl: a line for each frame, also for a skipped one."""

    mime = "application/x-ndjson"
    kind = "frames"
    columns = ("source", "name", "file", "frame", "time_s", "width", "height", "skipped", "detections")

    def __init__(self, path: Path, class_of: ClassOf) -> None:
        self._lines = Spool(path)
        self._class_of = class_of
        self._cells: dict[int, str] = {}
        self.rows = 0

    def begin(self, source: Source) -> None:
        """Begin a source."""

    def frame(self, source: Source, frame: FrameRow, rows: Sequence[DetectionRow]) -> None:
        """Write one frame with its objects."""
        self.rows += 1
        where: dict[str, Any] = {
            "source": plain(shown(source.urn, source)),
            "name": plain(shown(source.name, source)),
            "file": plain(frame.file) or None,
            "frame": frame.index,
            "time_s": None if frame.time_s is None else round(frame.time_s, 6),
            "width": frame.hw[1],
            "height": frame.hw[0],
            "skipped": frame.skipped or None,
        }
        objects = ", ".join(self._object(row) for row in rows)
        self._lines.write(f'{json.dumps(where)[:-1]}, "detections": [{objects}]}}\n')

    def finish(self, _classes: Sequence[ClassInfo], _info: Mapping[str, Any]) -> Path:
        """Complete the file and return its path."""
        self._lines.flush()
        return self._lines.path

    def _object(self, row: DetectionRow) -> str:
        if row.index not in self._cells:
            info = self._class_of(row.index)
            cells = f'"class_id": {json.dumps(info.id)}, "class": {json.dumps(info.name)}'
            self._cells[row.index] = cells
        track = row.track if row.track >= 0 else "null"
        details = "" if row.details is None else f', "details": {json.dumps(row.details)}'
        return f'{{"track": {track}, {self._cells[row.index]}, "score": {row.score}, "box": [{row.corners}]{details}}}'
