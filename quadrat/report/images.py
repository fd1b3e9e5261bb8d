"""images.csv: one row for each image, with its facts, its flags, and the value of each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from quadrat.records import ImageFacts, SourceRecord
from quadrat.report.base import Tables
from quadrat.report.spool import Spool
from quadrat.report.survey import csv_line, head_of
from quadrat.types import ClassInfo

COLUMNS = (
    "image", "name", "status", "flags", "duplicate_of", "brightness", "contrast", "sharpness", "clipped", "hash", "bits", "bits_from",
    "width", "height", "source_width", "source_height", "taken", "latitude", "longitude", "image_sha256", "code",
    "reason",
)  # fmt: skip


class ImageTable:
    """Folds records, in their final order, into a row for each image.

    `tables` are those of each model, by model name; they must know all classes already. `labels` are the labels of the
    models by name, empty if there is only one model; they come before the names of the models' columns.
    """

    def __init__(self, path: Path, tables: Mapping[str, Tables], labels: Mapping[str, str]) -> None:
        self._tables = tables
        self._names = {
            name: dict(class_columns(table, f"{labels[name]}." if labels[name] else ""))
            for name, table in tables.items()
        }
        self.columns = [*COLUMNS, *(each for names in self._names.values() for each in names.values())]
        self._lines = Spool(path, vital=True)
        self._lines.write(csv_line(self.columns))
        self.rows = 0

    def add(self, record: SourceRecord) -> None:
        """Write the row of an image; ignore other sources and files that are not images."""
        if record.source.media != "image" or (record.status == "skipped" and record.image is None):
            return
        cells = head_of(record) | (_facts(record.image) if record.image is not None else {})
        for part in record.models:
            names = self._names[part.model]
            for each in self._tables[part.model].values(part):
                cells[names[each.info.index]] = number(each.value)
        self._lines.write(csv_line([cells.get(column, "") for column in self.columns]))
        self.rows += 1

    def finish(self) -> Path | bytes:
        """Complete the table and return its path, or the table itself if the disk is full."""
        return self._lines.content()


def number(value: float) -> int | str:
    """Format a count as an integer, and a cover with six decimals."""
    return value if isinstance(value, int) else f"{value:.6f}"


def class_columns(table: Tables, prefix: str) -> Iterator[tuple[int, str]]:
    """Yield the name of each class's column, by index; names that occur more than once also have the index."""
    classes: list[ClassInfo] = table.classes()
    times = Counter(info.name for info in classes)
    for info in classes:
        name = info.name if times[info.name] == 1 else f"{info.name} {info.index}"
        yield info.index, f"{prefix}{table.measure}_{name}"


def _facts(image: ImageFacts) -> dict[str, Any]:
    facts = image.picture
    cells: dict[str, Any] = {"flags": " ".join(image.flags), "duplicate_of": image.duplicate_of}
    if image.depth is not None:
        cells |= {"bits": image.depth.bits, "bits_from": image.depth.source}
    if facts is None:
        return cells
    shares = {
        name: f"{getattr(facts, name):.4f}" for name in ("brightness", "contrast", "sharpness", "clipped")
    }
    return cells | shares | {"hash": facts.hash}
