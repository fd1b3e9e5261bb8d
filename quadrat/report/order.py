"""All records of an order -> its tables, run.json and survey.csv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from quadrat.records import SourceRecord
from quadrat.report.aspects import survey_aspect
from quadrat.report.base import ModelFacts, Tables, finished
from quadrat.report.book import RecordBook
from quadrat.report.names import Names
from quadrat.report.run_record import Timed, reading_of, run_record
from quadrat.report.survey import Survey, Totals
from quadrat.types import Product

TABLE = "survey.csv"
RECORD = "run.json"


class OrderReport:
    """Keeps the records of an order, and folds them into tables at its end.

    `settings` are its values by field. `names` allots the names of tables; `folder` holds temporary files. `part` is
    a file to which the rows of survey.csv are written as they come, and which is removed at the end; None for none.
    """

    def __init__(
        self,
        models: Sequence[ModelFacts],
        settings: Mapping[str, Any],
        names: Names,
        folder: Path,
        part: Path | None = None,
    ) -> None:
        self._models = models
        self._settings = settings
        self._names = names
        self._folder = folder
        self.table = names.whole(TABLE)
        self._record = names.whole(RECORD)
        self.totals = Totals()
        self.book = RecordBook(folder / "records.pickle")
        self.book.path.unlink(missing_ok=True)  # of an earlier order
        self._made = self._tables()
        self._part = Survey(part, self._made) if part is not None else None

    def add(self, record: SourceRecord, place: int | None = None) -> None:
        """Add the record of a finished source; `place` is its place among images. OSError as `RecordBook.add`."""
        self.totals.add(record)
        try:
            self.book.add(record, place)
        finally:
            if self._part is not None:
                self._part.add(record)
                self._part.flush()

    def products(self, stages: Sequence[Timed], wall_s: float) -> Iterator[Product]:
        """Yield survey.csv first, then run.json, then the tables of each model.

        survey.csv and run.json need no room on the disk: if it is full, they are made in memory. All tables whose
        files can be written are yielded; OSError after the last one if there was one that could not.
        """
        tables = self._made
        survey = Survey(self._folder / "survey.csv", tables)
        readings: list[Mapping[str, Any]] = []
        for record in self.book:
            survey.add(record)
            if record.reading is not None:
                readings.append(reading_of(record))
            for part in record.models:
                tables[part.model].count(part)
        totals = {name: table.totals() for name, table in tables.items()}
        yield Product(self.table, "text/csv", survey.finish(), self._aspect(totals))
        if self._part is not None:
            self._part.delete()
        counts = self.totals.counts
        run = run_record(self._settings, self._models, stages, counts, wall_s, sources=readings)
        yield run.product(self._record)
        for record in self.book:
            for part in record.models:
                tables[part.model].add(record, part)
        yield from finished(table.products() for table in tables.values())

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
        return survey_aspect(first.provenance, self.totals.counts, own, several)
