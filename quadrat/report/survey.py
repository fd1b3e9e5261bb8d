"""survey.csv: rows for each source and class, and one for every source that gave no result."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from quadrat.errors import QuadratError
from quadrat.records import ImageFacts, ModelRecord, SourceRecord
from quadrat.report.base import Tables
from quadrat.report.spool import Spool
from quadrat.stores.addresses import redacted
from quadrat.types import Reading

COLUMNS = (
    "image", "name", "status", "class_id", "class", "cover", "pixels", "mean_confidence",
    "width", "height", "source_width", "source_height", "product", "taken", "latitude", "longitude",
    "image_sha256", "code", "reason",
    "media", "objects", "tracks", "mean_score", "frames", "frames_declared", "frames_read",
    "frames_skipped", "frames_dropped", "frames_damaged", "seconds", "gaps", "max_at_once",
    "max_at_once_s", "flags", "multi_label",
)  # fmt: skip
"""The first 19 are older than videos, and stay first."""
MODEL = "model"
"""An additional last column, if there are several models."""
ENHANCE = "enhance"
"""An additional column, if pictures were changed before they were measured: the steps."""


class Survey:
    """Folds records, in their final order, into the rows of the order's table.

    `tables` are those of each model, by model name; they give the cells of its task. `steps` are the steps of each
    model that changed pictures before it measured them.
    """

    def __init__(
        self, path: Path, tables: Mapping[str, Tables], steps: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._tables = tables
        self._steps = steps
        self._columns = (*COLUMNS, *[ENHANCE] * bool(steps), *[MODEL] * (len(tables) > 1))
        self._lines = Spool(path, vital=True)
        self._write(self._columns)

    def add(self, record: SourceRecord) -> None:
        """Write the rows of one source."""
        head = head_of(record)
        if not record.models:
            self._add_row(head)
        for part in record.models:
            own = head | _of_model(record, part)
            rows = self._tables[part.model].cells(part) or [{}]
            for cells in rows:
                self._add_row(own | cells | {MODEL: part.model, ENHANCE: self._steps.get(part.model, "none")})

    def finish(self) -> Path | bytes:
        """Complete the table and return its path, or the table itself if the disk is full.

        It is UTF-8 and RFC 4180, and no cell is a formula.
        """
        return self._lines.content()

    def flush(self) -> None:
        """Write all rows so far to the file, if there is room for them."""
        self._lines.content()

    def delete(self) -> None:
        """Remove the file."""
        self._lines.delete()

    def _add_row(self, cells: Mapping[str, Any]) -> None:
        if cells["media"] == "stream":
            cells = {name: redacted(cell) if isinstance(cell, str) else cell for name, cell in cells.items()}
        self._write([cells.get(column, "") for column in self._columns])

    def _write(self, row: Sequence[Any]) -> None:
        self._lines.write(csv_line(row))


class Totals:
    """Counts the sources of an order by status.

    `measured` counts the sources that were measured, completely or in part, with or without flags; `blank` counts
    those that were read, but in which nothing was measured; `flags` counts the images with each flag.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self.measured = 0
        self.blank = 0

    def add(self, record: SourceRecord) -> None:
        """Count one source."""
        self.counts[record.status] += 1
        measured = any(part.measured for part in record.models)
        self.measured += measured and record.status in ("ok", "flagged", "partial")
        if record.image is not None:
            self.flags.update(record.image.flags)
        read = record.image is not None or record.reading is not None
        self.blank += read and not measured and record.status in ("skipped", "partial")

    def notes(self) -> str:
        """Return how many measured sources are incomplete or flagged, in brackets; empty if there are none."""
        words = {"partial": "in part", "flagged": "flagged"}
        notes = [f"{self.counts[status]} {word}" for status, word in words.items() if self.counts[status]]
        return f" ({', '.join(notes)})" if notes else ""


def reason_of(faults: Sequence[QuadratError]) -> str:
    """List all errors; the first without its code, which has a column of its own."""
    return "; ".join([str(fault) if not place else fault.line for place, fault in enumerate(faults)])


def head_of(record: SourceRecord) -> dict[str, Any]:
    """Return the cells of a source that are the same for each model and class."""
    source, faults = record.source, record.faults
    cells: dict[str, Any] = {
        "image": source.urn, "name": source.name, "status": record.status, "media": source.media,
        "code": faults[0].code if faults else "", "reason": reason_of(faults) or record.reason,
    }  # fmt: skip
    if record.status == "not-reached":
        cells["code"] = "E_STOPPED"
    if record.image is not None:
        return cells | _of_image(record.image)
    if record.reading is not None:
        cells["reason"] = "; ".join(filter(None, (cells["reason"], *record.reading.warnings)))
        return cells | _of_video(record.reading)
    if record.status == "skipped":
        cells["media"] = ""
    return cells


def _of_image(image: ImageFacts) -> dict[str, Any]:
    exif = image.exif
    return {
        "width": image.working_hw[1], "height": image.working_hw[0],
        "source_width": image.source_hw[1], "source_height": image.source_hw[0],
        "taken": _iso(exif.get("DateTimeOriginal", "")), "latitude": exif.get("GPSLatitude", ""),
        "longitude": exif.get("GPSLongitude", ""), "image_sha256": image.digest, "flags": " ".join(image.flags),
    }  # fmt: skip


def _of_video(reading: Reading) -> dict[str, Any]:
    declared = "" if reading.declared_frames is None else reading.declared_frames
    return {
        "source_width": reading.hw[1], "source_height": reading.hw[0], "image_sha256": reading.digest,
        "frames_declared": declared, "frames_read": reading.read, "frames_dropped": reading.dropped,
        "frames_damaged": reading.damaged, "seconds": f"{reading.seconds:.3f}", "gaps": len(reading.gaps),
    }  # fmt: skip


def _of_model(record: SourceRecord, part: ModelRecord) -> dict[str, Any]:
    """Return the cells of a model's part that are the same for each class."""
    cells: dict[str, Any] = {"product": part.product}
    if record.image is not None:
        if part.size != (0, 0):
            cells |= {"width": part.size[1], "height": part.size[0]}
    else:
        cells |= {"frames": part.measured, "frames_skipped": sum(part.skipped.values())}
    if len(record.models) > 1:
        cells |= {
            "status": _status(part, flagged=record.image is not None and bool(record.image.flags)),
            "code": part.faults[0].code if part.faults else "",
            "reason": reason_of(part.faults) or record.reason,
        }
    return cells


def _status(part: ModelRecord, *, flagged: bool) -> str:
    if part.measured:
        return "partial" if part.faults else "flagged" if flagged else "ok"
    return "failed" if part.faults else "skipped"


def safe(cell: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would take for a formula; numbers stay."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "@", "\t", "\r"):
        return "'" + cell
    if isinstance(cell, str) and cell[:1] == "-" and not _is_number(cell):
        return "'" + cell
    return cell


def csv_line(row: Iterable[Any]) -> str:
    """Format a row of a table with its line end; cells are safe for spreadsheets and quoted if necessary."""
    line = io.StringIO()
    csv.writer(line).writerow([safe(cell) for cell in row])
    return line.getvalue()


def csv_cell(text: str) -> str:
    """Format text as a cell of a table: safe for spreadsheets, quoted if necessary, valid in UTF-8."""
    line = io.StringIO()
    csv.writer(line).writerow([safe(text), ""])
    return line.getvalue().removesuffix(",\r\n").encode("utf-8", "replace").decode()


def _iso(taken: str) -> str:
    """Convert the camera's 2024:05:06 07:08:09 to ISO 8601, which spreadsheets and R can read."""
    return re.sub(r"^(\d{4}):(\d\d):(\d\d) ", r"\1-\2-\3T", taken)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
