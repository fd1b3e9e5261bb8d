"""The results of embedding models: no products of single sources, and no classes. Features files hold the vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from quadrat.predictions import Embedding
from quadrat.records import ModelRecord, SourceRecord
from quadrat.report.base import ClassValue, ModelFacts
from quadrat.report.names import Names
from quadrat.types import ClassInfo, Product, Result, Source, SourceClosed


def cells_of(prediction: Embedding, _classes: Sequence[ClassInfo], *_groups: object) -> Mapping[str, Any]:
    """Return the cells of an object in objects.csv: the length of its vector, which features.npz holds."""
    return {"dimension": len(prediction.vector)}


class EmbeddingCollector:
    """Counts the vectors of one source; the entries of its record hold them."""

    def __init__(self, model: ModelFacts, _source: Source, _folder: Path, *_groups: object) -> None:
        self._model = model
        self._length = 0
        self._record = ModelRecord(model.name, model.task)

    def picture(self, result: Result) -> Iterator[Product]:
        """Yield nothing."""
        self.frame(result)
        pixels = result.view(self._model.name).pixels
        self._record = replace(
            self._record, measured=1, size=(pixels.shape[0], pixels.shape[1]), text=self._text()
        )
        yield from ()

    def frame(self, result: Result) -> None:
        """Note the length of the vector."""
        if self._model.name in result.predictions:
            self._length = len(result.predictions[self._model.name].vector)

    def closed(self, closed: SourceClosed) -> Iterator[Product]:
        """Yield nothing."""
        closing = closed.closings[self._model.name]
        self._record = replace(
            self._record,
            measured=closing.measured,
            skipped=closing.skipped,
            faults=closing.faults,
            text=self._text(),
        )
        yield from ()

    def record(self) -> ModelRecord:
        """Return the number of measured frames."""
        return self._record

    def _text(self) -> str:
        return f"vectors of {self._length} values" if self._length else "no vectors"


class EmbeddingTables:
    """Has no tables of its own: embeddings have no classes."""

    measure = "count"

    def __init__(self, model: ModelFacts, _names: Names, _folder: Path, *_groups: object) -> None:
        self._model = model

    def learn(self, record: ModelRecord) -> None:
        """Learn nothing."""

    def classes(self) -> list[ClassInfo]:
        """Return no classes."""
        return []

    def values(self, _record: ModelRecord) -> list[ClassValue]:
        """Return no values."""
        return []

    def cells(self, _record: ModelRecord) -> list[dict[str, Any]]:
        """Return no cells: the source has one row."""
        return []

    def count(self, record: ModelRecord) -> None:
        """Count nothing."""

    def totals(self) -> dict[str, Any]:
        """Return no totals."""
        return {}

    def add(self, source: SourceRecord, record: ModelRecord) -> None:
        """Write nothing."""

    def products(self) -> Iterator[Product]:
        """Yield nothing."""
        yield from ()
