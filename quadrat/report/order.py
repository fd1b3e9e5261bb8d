"""All records of an order -> its tables, run.json and survey.csv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from quadrat.media.facts import FLAGS
from quadrat.records import SourceRecord, Tuning
from quadrat.report.aspects import survey_aspect, table_aspect
from quadrat.report.base import Fold, ListsUnmeasured, ModelFacts, Tables, finished
from quadrat.report.book import RecordBook
from quadrat.report.comparison import Comparison
from quadrat.report.duplicates import Duplicates, marked
from quadrat.report.features import Features
from quadrat.report.frames import FrameTable
from quadrat.report.images import ImageTable
from quadrat.report.names import Names
from quadrat.report.run_record import Timed, reading_of, run_record
from quadrat.report.scales import Scales
from quadrat.report.sheet import Sheet
from quadrat.report.survey import Survey, Totals
from quadrat.report.totals import COLUMNS as TOTAL_COLUMNS
from quadrat.report.totals import GroupTotals
from quadrat.report.tuning import tuning_products
from quadrat.types import Product

TABLE = "survey.csv"
RECORD = "run.json"
IMAGES = "images.csv"
TOTALS = "totals.csv"


class OrderReport:
    """Keeps the records of an order, and folds them into tables at its end.

    `settings` are its values by field. `names` allots the names of tables; `folder` holds temporary files. `part` is
    a file to which the rows of survey.csv are written as they come, and which is removed at the end; None for none.
    `folds` make further products of all records.
    """

    def __init__(
        self,
        models: Sequence[ModelFacts],
        settings: Mapping[str, Any],
        names: Names,
        folder: Path,
        part: Path | None = None,
        *,
        folds: Sequence[Fold] = (),
    ) -> None:
        self._every = models
        self._models = [model for model in models if model.counted]
        self._settings = settings
        self._names = names
        self._folder = folder
        self.table = names.whole(TABLE)
        self._record = names.whole(RECORD)
        self._images, self._totals = names.whole(IMAGES), names.whole(TOTALS)
        self._sheet = Sheet([model for model in models if not model.kind.measures], names)
        self._originals: dict[int, str] = {}
        self._scales = Scales(self._models)
        self.totals = Totals()
        self.book = RecordBook(folder / "records.pickle")
        self.book.path.unlink(missing_ok=True)  # of an earlier order
        self._made = self._tables()
        frames = FrameTable(self._models, self._made, names, folder)
        self._folds: list[Fold] = [frames, Features(models, names, folder), *folds]
        self._comparison = Comparison(self._models, self._made, names, folder)
        made = {model.name: model.provenance.enhance for model in models}
        self._steps = {name: steps for name, steps in made.items() if steps != "none"}
        self._part = Survey(part, self._made, self._steps) if part is not None else None

    def add(self, record: SourceRecord, place: int | None = None) -> None:
        """Add the record of a finished source; `place` is its place among images. OSError as `RecordBook.add`."""
        self.totals.add(record)
        try:
            self.book.add(record, place)
        finally:
            if self._part is not None:
                self._part.add(record)
                self._part.flush()

    def products(
        self, stages: Sequence[Timed], wall_s: float, tuning: Sequence[Tuning] = ()
    ) -> Iterator[Product]:
        """Yield survey.csv first, then run.json, what was tried for auto, images.csv, totals.csv, and the tables of each model.

        All but the last need no room on the disk: if it is full, they are made in memory. All tables whose files can
        be written are yielded; OSError after the last one if there was one that could not.
        """
        tables = self._made
        self._decide(tables)
        survey = Survey(self._folder / "survey.csv", tables, self._steps)
        images = ImageTable(
            self._folder / "images.csv", tables, {model.name: model.label for model in self._models}
        )
        groups = GroupTotals(tables)
        self._scales = Scales(self._models)
        readings: list[Mapping[str, Any]] = []
        self.totals = Totals()
        for record in self._marked():
            for fold in (self.totals, survey, images, groups, self._scales, self._sheet, self._comparison):
                fold.add(record)
            if record.reading is not None:
                readings.append(reading_of(record))
            for part in record.models:
                tables[part.model].count(part)
        totals = {name: table.totals() for name, table in tables.items()}
        means = [{"model": name, "classes": groups.of_all(name)} for name in tables] if images.rows else []
        yield Product(self.table, "text/csv", survey.finish(), self._aspect(totals) | {"totals": means})
        if self._part is not None:
            self._part.delete()
        run = run_record(
            self._settings,
            self._every,
            stages,
            self.totals,
            wall_s,
            sources=readings,
            means=means,
            warnings=[*self._scales.warnings(), *self._enhanced()],
            tuning=tuning,
        )
        yield run.product(self._record)
        yield from tuning_products(tuning, self._models[0].provenance, self._names)
        yield from self._sheet.products()
        yield from self._comparison.products()
        if images.rows:
            yield from self._image_products(images, groups)
        yield from self._last_products()

    def _last_products(self) -> Iterator[Product]:
        """Yield the tables of each model, and then what the folds make."""
        for record in self._marked():
            for fold in self._folds:
                fold.add(record)
            _add(self._made, record)
        tables = (table.products() for table in self._made.values())
        yield from finished([*tables, *(fold.products() for fold in self._folds)])

    @property
    def pictures(self) -> tuple[str, ...]:
        """The names of the pictures of the whole order, which people look at first."""
        return (self._sheet.name, *self._comparison.named[:1])

    def warnings(self) -> list[str]:
        """Return what makes results doubtful, for the log: different scales, and flags. Call it after `products`."""
        flags = self.totals.flags
        each = ", ".join(f"{flags[flag]} {flag}" for flag in FLAGS if flags[flag])
        flagged = [f"flagged images: {each}; {self._images} lists them"] if each else []
        names = tuple(model.plain_name for model in self._models)
        return [
            text if text.startswith(names) else text[0].upper() + text[1:]
            for text in (*self._scales.warnings(), *self._enhanced(), *flagged)
        ]

    def _enhanced(self) -> list[str]:
        """Say that numbers are those of enhanced pictures, if all are: in a comparison, the tables say it."""
        measured = [self._steps.get(model.name, "") for model in self._models if model.kind.measures]
        if not measured or not all(measured):
            return []
        steps = " and ".join(dict.fromkeys(measured))
        return [f"the numbers are those of enhanced pictures ({steps}); say so wherever you publish them"]

    def _decide(self, tables: Mapping[str, Tables]) -> None:
        """Find duplicates, and let the tables learn all classes.

        This needs all records in their final order, before the first row is written.
        """
        duplicates, self._originals = Duplicates(), {}
        for place, record in enumerate(self.book):
            if original := duplicates.original(record):
                self._originals[place] = original
            for part in record.models:
                tables[part.model].learn(part)

    def _marked(self) -> Iterator[SourceRecord]:
        """Yield the records in their final order, as the tables show them."""
        skip = bool(self._settings.get("skip_flagged"))
        for place, record in enumerate(self.book):
            yield marked(record, self._originals.get(place, ""), skip=skip)

    def _image_products(self, images: ImageTable, groups: GroupTotals) -> Iterator[Product]:
        """Yield images.csv, and totals.csv if a model measures classes."""
        who = self._models[0].provenance
        metadata = table_aspect("images", images.columns, who, images.rows)
        yield Product(self._images, "text/csv", images.finish(), metadata)
        if not any(model.kind.measures for model in self._models):
            return
        lines = list(groups.lines())
        metadata = table_aspect("totals", TOTAL_COLUMNS, who, len(lines) - 1)
        yield Product(self._totals, "text/csv", "".join(lines).encode("utf-8", "replace"), metadata)

    def _tables(self) -> dict[str, Tables]:
        made: dict[str, Tables] = {}
        for model in self._models:
            tables = model.kind.part("tables")
            made[model.name] = tables(model, self._names, self._folder, *model.groups)
        return made

    def _aspect(self, totals: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        first = self._models[0]
        several = [{"name": name, **totals[name]} for name in totals] if len(totals) > 1 else []
        own = {} if several else totals[first.name]
        return survey_aspect(first.provenance, self.totals.counts, own, several, self.totals.flags)


def _add(tables: Mapping[str, Tables], record: SourceRecord) -> None:
    """Write the rows of a source in the tables of all models."""
    for part in record.models:
        tables[part.model].add(record, part)
    for name in tables.keys() - {part.model for part in record.models}:
        if isinstance(table := tables[name], ListsUnmeasured):
            table.unmeasured(record)
