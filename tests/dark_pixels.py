"""A made-up task in one file: it counts the dark pixels of each frame. It has no boxes and no masks.

Everything that the rest of the code needs to know of a task is in its record, `KIND`; the line that registers it is
`TASKS["dark-pixels"] = "tests.dark_pixels:KIND"`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from quadrat.geometry import Window
from quadrat.media.encode import jpeg
from quadrat.records import ModelRecord, SourceRecord
from quadrat.report.aspects import PICTURE, provenance_part, table_aspect
from quadrat.report.base import ClassValue, ModelFacts, mime_of
from quadrat.report.columns import Columns, ColumnWriter
from quadrat.report.names import Names
from quadrat.report.spool import Spool
from quadrat.task_kinds import TaskKind
from quadrat.types import (
    ClassInfo,
    Frame,
    ImageU8,
    ModelPackage,
    OutputSpec,
    Part,
    Product,
    Result,
    Source,
    SourceClosed,
)

COLUMNS = ("name", "frame", "dark")


@dataclass(frozen=True, slots=True)
class DarkPixels:
    """The number of dark pixels of a frame."""

    count: int


class CountFold:
    """Adds up the dark pixels of a frame, which is one part."""

    windows: tuple[Window | None, ...] = (None,)

    def __init__(self) -> None:
        self._count = 0

    def add(self, _number: int, part: Part) -> None:
        """Count the pixels that the network labels 0."""
        self._count += int((part.arrays["labels"] == 0).sum())

    def finish(self) -> DarkPixels:
        """Give the count."""
        return DarkPixels(self._count)


class CountTask:
    """Starts a count for each frame."""

    name = "dark-pixels"
    wanted = ("labels",)
    batched = True

    def __init__(self, _package: ModelPackage, _outputs: Sequence[OutputSpec]) -> None:
        pass

    def start(self, _frame: Frame) -> CountFold:
        """Plan one part."""
        return CountFold()


class Collector:
    """Gathers the counts of one source."""

    def __init__(self, model: ModelFacts, source: Source, folder: Path) -> None:
        self._model = model
        self._source = source
        self._columns = ColumnWriter(folder / model.product_name(source.stem, ".columns"))
        self._most = 0
        self._record = ModelRecord(model.name, model.task)

    def picture(self, result: Result) -> Iterator[Product]:
        """Yield the picture with its dark pixels marked."""
        found = result.predictions[self._model.name]
        name = self._model.product_name(self._source.stem, ".dark.jpg")
        metadata = {
            "$schema": PICTURE, "kind": "overlay", "image": self._source.urn, "dark": found.count,
            "order": self._model.provenance.order, "provenance": provenance_part(self._model.provenance),
        }  # fmt: skip
        yield Product(name, "image/jpeg", jpeg(annotate(result.frame, found, (), None)), metadata)
        self._take(result)
        self._record = replace(
            self._record, measured=1, product=name, summary=found, columns=self._columns.finish(),
            text=f"{found.count} dark pixels",
        )  # fmt: skip

    def frame(self, result: Result) -> None:
        """Take the count of one frame."""
        self._take(result)

    def closed(self, closed: SourceClosed) -> Iterator[Product]:
        """Yield the annotated video."""
        closing = closed.closings[self._model.name]
        name = ""
        if closing.video is not None:
            name = self._model.product_name(self._source.stem, closing.video.suffix)
            metadata = table_aspect("video", COLUMNS, self._model.provenance, closing.measured)
            yield Product(name, mime_of(closing.video), closing.video, metadata)
        self._record = replace(
            self._record, measured=closing.measured, skipped=closing.skipped, faults=closing.faults,
            product=name, summary=DarkPixels(self._most), columns=self._columns.finish(),
            text=f"at most {self._most} dark pixels",
        )  # fmt: skip

    def record(self) -> ModelRecord:
        """Give the counts."""
        return self._record

    def _take(self, result: Result) -> None:
        if result.frame.skipped:
            self._columns.add(result.frame, {}, 0)
            return
        count = result.predictions[self._model.name].count
        self._most = max(self._most, count)
        self._columns.add(result.frame, {"dark": np.array([count])}, 1)


class Tables:
    """Folds the counts into dark.csv."""

    measure = "count"

    def __init__(self, model: ModelFacts, names: Names, folder: Path) -> None:
        self._model = model
        self._name = model.table_name(names, "dark.csv")
        self._lines = Spool(folder / self._name)
        self._lines.write(",".join(COLUMNS) + "\r\n")
        self._dark = 0

    def learn(self, record: ModelRecord) -> None:
        """Learn nothing: there are no classes."""

    def classes(self) -> list[ClassInfo]:
        """Give no classes."""
        return []

    def values(self, _record: ModelRecord) -> list[ClassValue]:
        """Give no values of classes."""
        return []

    def cells(self, record: ModelRecord) -> list[dict[str, Any]]:
        """Give one row, whose count stands in the column of pixels."""
        return [{"pixels": record.summary.count}]

    def count(self, record: ModelRecord) -> None:
        """Add up the pixels of all frames."""
        if isinstance(record.columns, Columns):
            self._dark += sum(int(chunk.columns["dark"].sum()) for chunk in record.columns if chunk.columns)

    def add(self, source: SourceRecord, record: ModelRecord) -> None:
        """Write a line for each measured frame."""
        if not isinstance(record.columns, Columns):
            return
        for chunk in record.columns:
            for place, frame in enumerate(chunk.frames):
                for dark in chunk.columns["dark"][chunk.rows(place)].tolist() if chunk.columns else []:
                    self._lines.write(f"{source.source.name},{frame.index},{dark}\r\n")

    def totals(self) -> dict[str, Any]:
        """Give the sum over all frames."""
        return {"dark": self._dark}

    def products(self) -> Iterator[Product]:
        """Yield dark.csv."""
        self._lines.flush()
        metadata = table_aspect("dark", COLUMNS, self._model.provenance, self._lines.count - 1)
        yield Product(self._name, "text/csv", self._lines.path, metadata)


def annotate(frame: Frame, _found: DarkPixels, _classes: Sequence[ClassInfo], _pictures: object) -> ImageU8:
    """Draw the dark pixels of a frame in red."""
    drawn: ImageU8 = frame.pixels.copy()
    drawn[drawn.mean(axis=2) < 128] = (255, 0, 0)
    return drawn


def is_empty(found: DarkPixels) -> bool:
    """Return True if no pixel is dark."""
    return found.count == 0


KIND = TaskKind(
    name="dark-pixels",
    prediction=DarkPixels,
    pictures={"image": ("overlay",), "video": ("overlay",), "stream": ("overlay",)},
    groups=(),
    make="tests.dark_pixels:CountTask",
    collector="tests.dark_pixels:Collector",
    tables="tests.dark_pixels:Tables",
    annotate="tests.dark_pixels:annotate",
    is_empty="tests.dark_pixels:is_empty",
    class_urn="urn:example:dark:",
    max_classes=2,
    model_schema="urn:example:dark.model.1",
    endings=(".dark.jpg",),
)
