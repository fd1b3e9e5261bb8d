"""compare.csv and compare.png: the value of each class in each variant of `compare`, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quadrat.media.encode import png
from quadrat.parameters.steps import NONE
from quadrat.records import SourceRecord
from quadrat.render.comparison import ComparedClass, draw_comparison
from quadrat.report.aspects import PICTURE, provenance_part, table_aspect
from quadrat.report.base import ModelFacts, Tables
from quadrat.report.images import number
from quadrat.report.names import Names
from quadrat.report.spool import Spool
from quadrat.report.survey import csv_line
from quadrat.stores.addresses import shown
from quadrat.types import ClassInfo, Product

TABLE, PICTURE_NAME = "compare.csv", "compare.png"
ALL = "(all)"
"""The name of the rows with the means over all sources."""
MOST_DRAWN = 12
"""The most classes of a model in the picture, those with the largest values."""


@dataclass(slots=True)
class _Means:
    """Sums over the sources in which every variant was measured."""

    info: ClassInfo
    sums: list[float]
    count: int = 0


@dataclass(slots=True)
class Comparison:
    """Folds records into the table and the picture of a comparison; it does nothing in an order without variants.

    `tables` are those of each model, by name, and know all classes. Variants of one archive are columns of one row. A
    difference is that of the variant that differs most from none, and a spread the largest value minus the smallest.
    """

    models: Sequence[ModelFacts]
    tables: Mapping[str, Tables]
    names: Names
    folder: Path
    named: tuple[str, ...] = ()
    _groups: dict[str, list[ModelFacts]] = field(default_factory=dict)
    _means: dict[tuple[str, int], _Means] = field(default_factory=dict)
    _variants: list[str] = field(default_factory=list)
    _lines: Spool | None = None
    _moving: bool = False

    def __post_init__(self) -> None:
        compared = [each for each in self.models if each.variant and each.kind.measures]
        self._variants = list(dict.fromkeys(each.variant for each in compared))
        for each in compared:
            self._groups.setdefault(_archive(each), []).append(each)
        if not compared:
            return
        self.named = self.names.whole(PICTURE_NAME), self.names.whole(TABLE)
        self._lines = Spool(self.folder / TABLE, vital=True)
        self._lines.write(csv_line(self.columns))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table."""
        model = ("model",) if len(self._groups) > 1 else ()
        return (
            "source",
            "name",
            *model,
            "class_id",
            "class",
            "measure",
            *self._variants,
            "difference",
            "spread",
        )

    def add(self, record: SourceRecord) -> None:
        """Write a row for each class of each archive.

        A class that one variant finds has the value 0 in the others that were measured: without a list of classes, each
        knows only those that it has found.
        """
        if self._lines is None:
            return
        parts = {part.model: part for part in record.models}
        source = record.source
        self._moving = source.media != "image"
        for archive, models in self._groups.items():
            found: dict[int, tuple[ClassInfo, dict[str, float]]] = {}
            zeros = {
                model.variant: 0.0 for model in models if model.name in parts and parts[model.name].measured
            }
            for model in models:
                values = self.tables[model.name].values(parts[model.name]) if model.name in parts else []
                for each in values:
                    known = found.setdefault(each.info.index, (each.info, dict(zeros)))[1]
                    known[model.variant] = each.value
            for info, by_variant in found.values():
                place = (shown(source.urn, source), shown(source.name, source))
                self._lines.write(csv_line(self._row(place, archive, info, by_variant)))
                self._count(archive, info, by_variant)

    def products(self) -> Iterator[Product]:
        """Yield the picture, then the table, whose last rows are the means over all sources."""
        if self._lines is None:
            return
        for (archive, _), means in self._means.items():
            by_variant = {
                variant: total / means.count
                for variant, total in zip(self._variants, means.sums, strict=True)
            }
            self._lines.write(csv_line(self._row((ALL, ALL), archive, means.info, by_variant)))
        who = self.models[0].provenance
        drawn = [chart for archive in self._groups if (chart := self._chart(archive)) is not None]
        if drawn:
            metadata = {
                "$schema": PICTURE, "kind": "comparison", "order": who.order, "model": who.model,
                "variants": list(self._variants), "provenance": provenance_part(who),
            }  # fmt: skip
            body = png(draw_comparison(self._variants, drawn))
            yield Product(self.named[0], "image/png", body, metadata)
        metadata = table_aspect("comparison", self.columns, who, self._lines.count - 1)
        yield Product(self.named[1], "text/csv", self._lines.content(), metadata)

    def _row(
        self, place: tuple[str, str], archive: str, info: ClassInfo, by_variant: Mapping[str, float]
    ) -> list[str | int]:
        first = self._groups[archive][0]
        values = [by_variant.get(variant) for variant in self._variants]
        known = [value for value in values if value is not None]
        plain = by_variant.get(NONE)
        others = [value - plain for value in known] if plain is not None else []
        spread = (
            [number(max(known) - min(known)), number(max(others, key=abs))]
            if len(known) > 1 and others
            else ["", ""]
        )
        model = [first.plain_name] if len(self._groups) > 1 else []
        return [
            *place, *model, info.id, info.name, self._measure(first),
            *("" if value is None else number(value) for value in values), spread[1], spread[0],
        ]  # fmt: skip

    def _measure(self, model: ModelFacts) -> str:
        """Say what values are: of a video, objects are counted in every frame."""
        measure = self.tables[model.name].measure
        return "detections" if self._moving and model.kind.tracks else measure

    def _count(self, archive: str, info: ClassInfo, by_variant: Mapping[str, float]) -> None:
        """Add a source to the means if every variant has a value."""
        if len(by_variant) < len(self._variants):
            return
        means = self._means.setdefault((archive, info.index), _Means(info, [0.0] * len(self._variants)))
        means.count += 1
        for place, variant in enumerate(self._variants):
            means.sums[place] += by_variant[variant]

    def _chart(self, archive: str) -> tuple[str, list[ComparedClass]] | None:
        """Return the title and the classes to draw of one archive; None if nothing was measured.

        Classes that no variant found are left out: a detector can have hundreds.
        """
        means = [each for (own, _), each in self._means.items() if own == archive]
        if not means:
            return None
        first = self._groups[archive][0]
        measure = self._measure(first)
        found = [each for each in means if any(each.sums)] or means
        shown_first = sorted(found, key=lambda each: (-max(each.sums) / each.count, each.info.index))[
            :MOST_DRAWN
        ]
        classes = [
            ComparedClass(
                each.info.name, [total / each.count for total in each.sums], percent=measure == "cover"
            )
            for each in sorted(shown_first, key=lambda each: each.info.index)
        ]
        name = first.plain_name
        count = max(each.count for each in means)
        return f"Mean {measure} of {count} source{'s' if count > 1 else ''}, {name}", classes


def _archive(model: ModelFacts) -> str:
    """Return what all variants of one archive have in common."""
    return model.provenance.model
