"""detections.csv, detections.jsonl and coco.json, written frame by frame and joined at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from quadrat.report.base import plain
from quadrat.report.coco import CocoPart, write_coco
from quadrat.report.rows import Row
from quadrat.report.spool import Spool, joined
from quadrat.report.survey import csv_cell
from quadrat.stores.addresses import shown
from quadrat.types import ClassInfo, Frame, Source

CSV = ("source", "name", "frame", "time_s", "track", "class_id", "class", "score", "x0", "y0", "x1", "y1")
JSONL = ("source", "name", "file", "frame", "time_s", "width", "height", "skipped", "detections")
COCO = ("info", "licenses", "categories", "videos", "images", "annotations")
ClassOf = Callable[[int], ClassInfo]


class DetectionPart:
    """The rows of one video, or of all photographs of an order; `stem` is where its files go."""

    def __init__(self, stem: Path, class_of: ClassOf) -> None:
        self.coco = CocoPart(stem)
        self._class_of = class_of
        self._csv, self._jsonl = Spool(stem.with_suffix(".csv")), Spool(stem.with_suffix(".jsonl"))
        self._named: dict[int, tuple[str, str]] = {}
        self.rows = 0
        self.frames = 0

    @property
    def spools(self) -> tuple[Spool, Spool]:
        """The rows of detections.csv and of detections.jsonl."""
        return self._csv, self._jsonl

    def add(self, source: Source, frame: Frame, rows: Sequence[Row]) -> None:
        """Write one frame, a skipped one too."""
        urn, name = shown(source.urn, source), shown(source.name, source)
        self.frames += 1
        self.rows += len(rows)
        self._jsonl.write(self._line(urn, name, frame, rows))
        if frame.skipped:
            return
        if rows:
            time_s = "" if frame.time_s is None else f"{frame.time_s:.6f}"
            head = f"{csv_cell(urn)},{csv_cell(name)},{frame.key.index},{time_s},"
            self._csv.write("".join(self._row(head, row) for row in rows))
        self.coco.add(name, source, frame, rows)

    def _row(self, head: str, row: Row) -> str:
        track = row.track if row.track >= 0 else ""
        return f"{head}{track},{self._names(row.index)[0]},{row.score},{row.corners}\r\n"

    def _line(self, urn: str, name: str, frame: Frame, rows: Sequence[Row]) -> str:
        time_s = None if frame.time_s is None else round(frame.time_s, 6)
        where: dict[str, Any] = {
            "source": plain(urn),
            "name": plain(name),
            "file": plain(frame.file) or None,
            "frame": frame.key.index,
            "time_s": time_s,
        }
        where |= {"width": frame.source_hw[1], "height": frame.source_hw[0], "skipped": frame.skipped or None}
        objects = ", ".join(self._object(row) for row in rows)
        return f'{json.dumps(where)[:-1]}, "detections": [{objects}]}}\n'

    def _object(self, row: Row) -> str:
        track = row.track if row.track >= 0 else "null"
        return (
            f'{{"track": {track}, {self._names(row.index)[1]}, "score": {row.score}, "box": [{row.corners}]}}'
        )

    def _names(self, index: int) -> tuple[str, str]:
        """Give id and name of a class as cells and as JSON, written once."""
        if index not in self._named:
            info = self._class_of(index)
            cells = f"{csv_cell(info.id)},{csv_cell(info.name)}"
            self._named[index] = cells, f'"class_id": {json.dumps(info.id)}, "class": {json.dumps(info.name)}'
        return self._named[index]


def write_tables(
    folder: Path,
    parts: Sequence[tuple[Source | None, DetectionPart]],
    classes: Sequence[ClassInfo],
    info: dict[str, Any],
) -> tuple[Path, Path, Path]:
    """Join all parts into the three tables: CSV, JSON lines, COCO."""
    spools = [part.spools for _, part in parts]
    return (
        joined(folder / "all.csv", ",".join(CSV) + "\r\n", [csv for csv, _ in spools]),
        joined(folder / "all.jsonl", "", [jsonl for _, jsonl in spools]),
        write_coco(folder / "all.json", [(source, part.coco) for source, part in parts], classes, info),
    )
