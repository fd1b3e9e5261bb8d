"""before-after.jpg: some pictures of an order before and after enhancement, side by side."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from quadrat.media.encode import jpeg
from quadrat.records import SourceRecord
from quadrat.render.sheet import SIDE, SheetRow, draw_sheet, thumbnail
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
    """Thumbnails of one picture before and after, as JPEGs; of its middle, if it was `enlarged`."""

    before: bytes
    after: bytes
    enlarged: bool = False


def pair_of(before: ImageU8, after: ImageU8) -> Pair:
    """Make the thumbnails of a picture, or if it was enlarged, of its middle.

    They have one size: a middle is shown in the pixels of the larger picture, because shrinking would hide what
    enlarging has brought.
    """
    enlarged = after.shape[0] > before.shape[0] or after.shape[1] > before.shape[1]
    if enlarged:
        after, before = _middles(after, before)
    return Pair(jpeg(thumbnail(before), QUALITY), jpeg(thumbnail(after), QUALITY), enlarged)


def _middles(larger: ImageU8, smaller: ImageU8) -> tuple[ImageU8, ImageU8]:
    """Cut the middle out of a picture, and the same part of a smaller one, enlarged by bicubic interpolation."""
    (height, width), (small_h, small_w) = larger.shape[:2], smaller.shape[:2]
    rows = max(1, min(small_h, SIDE * small_h // height))
    columns = max(1, min(small_w, SIDE * small_w // width))
    top, left = (small_h - rows) // 2, (small_w - columns) // 2
    bottom, right = top + rows, left + columns
    cut = larger[
        top * height // small_h : bottom * height // small_h,
        left * width // small_w : right * width // small_w,
    ]
    part = np.ascontiguousarray(smaller[top:bottom, left:right])
    enlarged = cv2.resize(part, (cut.shape[1], cut.shape[0]), interpolation=cv2.INTER_CUBIC)
    return cut, np.asarray(enlarged, np.uint8)


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
        enlarged = any(pair.enlarged for _, _, pairs in self._rows.values() for pair in pairs.values())
        columns = ["before, enlarged" if enlarged else "before", *map(_column, self.models)]
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
