"""totals.csv: the mean of each class over the images of each folder, with and without flagged images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from quadrat.records import SourceRecord
from quadrat.report.base import Tables
from quadrat.report.images import number
from quadrat.report.survey import csv_line
from quadrat.types import ClassInfo

ALL = "(all)"
"""The group of all images. Spreadsheets treat "*" as a pattern that every group matches."""
COLUMNS = (
    "group", "class_id", "class", "measure", "images", "mean", "total", "images_unflagged", "mean_unflagged",
    "total_unflagged",
)  # fmt: skip
MODEL = "model"
"""An additional last column, if there are several models."""


@dataclass(slots=True)
class _Sum:
    """The number of images and the sum of a value over them."""

    images: int = 0
    total: float = 0

    def add(self, value: float) -> None:
        """Add the value of an image."""
        self.images += 1
        self.total += value

    @property
    def mean(self) -> float | None:
        """The mean over the images; None without images."""
        return self.total / self.images if self.images else None


class GroupTotals:
    """Folds records into the totals of each group of images: those in or below a folder, and all.

    Every image that was measured counts, also with a value of 0. Memory is proportional to the number of groups.
    """

    def __init__(self, tables: Mapping[str, Tables]) -> None:
        self._tables = tables
        self._classes = {
            name: {info.index: info for info in table.classes()} for name, table in tables.items()
        }
        self._sums: dict[str, dict[tuple[str, int], tuple[_Sum, _Sum]]] = {}

    def add(self, record: SourceRecord) -> None:
        """Add the values of an image; ignore other sources."""
        if record.image is None:
            return
        flagged = bool(record.image.flags)
        for part in record.models:
            for each in self._tables[part.model].values(part):
                for group in (*_groups(record.source.name), ALL):
                    sums = self._sums.setdefault(group, {})
                    every, clean = sums.setdefault((part.model, each.info.index), (_Sum(), _Sum()))
                    every.add(each.value)
                    if not flagged:
                        clean.add(each.value)

    def lines(self) -> Iterator[str]:
        """Yield the lines of totals.csv: the header, each group in order of name, and all images last."""
        several = len(self._tables) > 1
        yield csv_line([*COLUMNS, MODEL] if several else COLUMNS)
        for group in sorted(self._sums, key=lambda name: (name == ALL, name)):
            for (model, index), (every, clean) in sorted(self._sums[group].items(), key=self._place):
                info, measure = self._classes[model][index], self._tables[model].measure
                cells = [group, info.id, info.name, measure, *_cells(every), *_cells(clean)]
                yield csv_line([*cells, model] if several else cells)

    def of_all(self, model: str) -> list[dict[str, Any]]:
        """Return the means over all images as plain values, one entry for each class of a model."""
        measure = self._tables[model].measure
        return [
            _described(self._classes[model][index], measure, *sums)
            for (name, index), sums in sorted(self._sums.get(ALL, {}).items(), key=self._place)
            if name == model
        ]

    def _place(self, entry: tuple[tuple[str, int], Any]) -> tuple[int, int]:
        (model, index), _ = entry
        return list(self._tables).index(model), index


def _groups(name: str) -> list[str]:
    """Return all folders that an image is in or below; "." for one that is in none, such as an artifact."""
    parent = PurePosixPath("." if name.startswith("urn:") else name).parent
    folders = [folder.as_posix() for folder in (parent, *parent.parents)]
    return [folder for folder in folders if folder not in (".", "/")] or ["."]


def _cells(each: _Sum) -> list[Any]:
    mean = "" if each.mean is None else f"{each.mean:.6f}"
    counted = each.images and isinstance(each.total, int)  # a sum of covers means nothing
    return [each.images, mean, number(each.total) if counted else ""]


def _described(info: ClassInfo, measure: str, every: _Sum, clean: _Sum) -> dict[str, Any]:
    return {
        "id": info.id,
        "name": info.name,
        "measure": measure,
        "images": every.images,
        "mean": every.mean,
        "images-unflagged": clean.images,
        "mean-unflagged": clean.mean,
    }
