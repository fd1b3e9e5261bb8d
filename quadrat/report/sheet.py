"""before-after.jpg: some pictures of an order before and after enhancement, side by side."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from quadrat.media.encode import jpeg
from quadrat.records import SourceRecord
from quadrat.render.sheet import SheetRow, draw_sheet, thumbnail
from quadrat.report.aspects import PICTURE, provenance_part
from quadrat.report.base import ModelFacts
from quadrat.report.names import Names
from quadrat.report.sample import digest_of
from quadrat.stores.addresses import shown
from quadrat.types import ImageU8, Product

NAME = "before-after.jpg"
MOST_ROWS = 8
"""Rows of the sheet: sources beyond them are left out, by the digests of their names."""
QUALITY = 90


@dataclass(frozen=True, slots=True)
class Pair:
    """Thumbnails of one picture before and after, as JPEGs."""

    before: bytes
    after: bytes


def pair_of(before: ImageU8, after: ImageU8) -> Pair:
    """Make the thumbnails of a picture."""
    return Pair(*(jpeg(thumbnail(pixels), QUALITY) for pixels in (before, after)))


@dataclass(slots=True)
class Sheet:
    """Folds the records of an order into its sheet; it keeps the pictures of at most MOST_ROWS sources.

    `models` are those that enhance pictures; each is a column.
    """

    models: Sequence[ModelFacts]
    names: Names
    name: str = ""
    _rows: dict[str, tuple[int, str, dict[str, Pair]]] = field(default_factory=dict)
    _count: int = 0

    def __post_init__(self) -> None:
        changing = [each for each in self.models if each.has_network or each.provenance.enhance != "none"]
        self.models = (
            changing or self.models
        )  # the column of a variant without steps would be the first again
        self.name = self.names.whole(NAME) if self.models else ""

    def add(self, record: SourceRecord) -> None:
        """Take the pictures of one source."""
        found = {
            part.model: pair
            for part in record.models
            if (pair := getattr(part.summary, "pair", None)) is not None
        }
        self._count += 1
        if not self.models or not found:
            return
        source = record.source
        self._rows[digest_of(source.stem)] = (self._count, shown(source.name, source), found)
        for late in sorted(self._rows)[MOST_ROWS:]:
            del self._rows[late]

    def products(self) -> Iterator[Product]:
        """Yield the sheet; nothing if there is no picture."""
        if not self._rows:
            return
        columns = ["before", *map(_column, self.models)]
        rows = [
            self._row(title, pairs) for _, title, pairs in sorted(self._rows.values(), key=lambda row: row[0])
        ]
        who = self.models[0].provenance
        metadata = {
            "$schema": PICTURE, "kind": "before-after", "order": who.order, "model": who.model, "columns": columns,
            "rows": [row.title for row in rows], "provenance": provenance_part(who),
        }  # fmt: skip
        yield Product(self.name, "image/jpeg", jpeg(draw_sheet(columns, rows)), metadata)

    def _row(self, title: str, pairs: dict[str, Pair]) -> SheetRow:
        first = next(iter(pairs.values()))
        after = [pairs[model.name].after if model.name in pairs else None for model in self.models]
        return SheetRow(
            title, [_pixels(first.before), *(None if each is None else _pixels(each) for each in after)]
        )


def _column(model: ModelFacts) -> str:
    steps = model.provenance.enhance
    if model.has_network:
        return model.name if steps == "none" else f"{steps}, {model.name}"
    return steps


def _pixels(body: bytes) -> ImageU8:
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))
