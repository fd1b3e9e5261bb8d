"""The results of a search: results.csv, results.json and a contact sheet."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from quadrat.errors import IndexFileError, ParameterError
from quadrat.index.language import Condition, parse
from quadrat.index.read import IndexReader, Row
from quadrat.index.search import Hit, Query, answer
from quadrat.media.encode import jpeg
from quadrat.parameters import SearchSettings
from quadrat.records import SourceRecord
from quadrat.render.contact import Card, draw_sheet
from quadrat.report.aspects import table_aspect
from quadrat.report.base import ModelFacts, plain
from quadrat.report.features import entries_of
from quadrat.report.indexing import check_index, embedding_of
from quadrat.report.names import Names
from quadrat.report.spool import Spool
from quadrat.report.survey import csv_line
from quadrat.stores.addresses import shown
from quadrat.types import Product, Provenance

COLUMNS = (
    "query", "rank", "score", "group", "row", "image", "name", "media", "frame", "time_s", "track", "class",
    "class_score", "cover", "x0", "y0", "x1", "y1", "site", "taken", "latitude", "longitude",
)  # fmt: skip
TABLE, RECORD, SHEET = "results.csv", "results.json", "results.jpg"
SCHEMA = "urn:ibenthos:schema:quadrat.search.1"
_NOTHING = np.zeros(0, np.float32)
ACROSS, DOWN = 10, 20
"""The most cards in a row of the contact sheet, and the most rows."""


class SearchFold:
    """Collects the vectors of the pictures of an order, and looks for them in the index whose database is `base`.

    `notify` is called with lines about what was found.

    Raises IndexFileError if its vectors are not those of the order's model.
    """

    def __init__(
        self,
        models: Sequence[ModelFacts],
        names: Names,
        folder: Path,
        base: Path,
        settings: SearchSettings,
        *,
        notify: Callable[[str], None],
    ) -> None:
        embedding = embedding_of(models)
        if embedding is None:
            raise ParameterError(
                "none of the models gives vectors, by which pictures are looked for",
                where="model",
                hint="Give the embedding archive that made the index, or leave the pictures out",
            )
        check_index(models, base)
        parse(settings.where)
        self._provenance = models[0].provenance
        self._model = embedding.name
        self._names, self._folder, self._base, self._settings = names, folder, base, settings
        self._notify = notify
        self._queries: list[Query] = []
        self._named: Counter[str] = Counter()
        self._measured = 0

    def add(self, record: SourceRecord) -> None:
        """Take the vectors of a source."""
        self._measured += any(part.measured for part in record.models)
        objects: Counter[int] = Counter()
        for frame, entry in entries_of(record):
            objects[frame.index] += entry.box is not None
            if self._model in entry.vectors:
                name = plain(shown(record.source.name, record.source))
                name += "" if frame.time_s is None else f" {frame.time_s:.2f} s"
                name += "" if entry.box is None else f" #{objects[frame.index]}"
                self._named[name] += 1
                name += f" ({self._named[name]})" if self._named[name] > 1 else ""
                self._queries.append(Query(name, entry.vectors[self._model], entry.thumb))

    def products(self) -> Iterator[Product]:
        """Yield the results; nothing if nothing was measured. IndexFileError if what was measured gave no vectors."""
        if self._measured and not self._queries:
            raise IndexFileError(
                "the pictures gave no vectors to look for",
                where=self._model,
                hint="Pack the model with its features, or give pictures in which its detector finds objects",
            )
        if self._queries:
            made = Results(self._base, self._settings, self._queries, self._folder)
            yield from made.products(self._names, self._provenance)
            for line in made.lines():
                self._notify(line)


class Results:
    """What is found in the index whose database is `base`. Raises QueryError or IndexFileError as `answer` does."""

    def __init__(self, base: Path, settings: SearchSettings, queries: Sequence[Query], folder: Path) -> None:
        self._folder = folder
        self._queries = {query.name: query for query in queries}
        index = IndexReader(base)
        try:
            condition = parse(settings.where)
            self.hits = answer(index, settings, queries, folder)
            self._selected = len(index.select(condition)[0])
            self._unknown = _unknown_classes(index, condition)
            self._asked = settings
            self._rows = {hit.row: _row(index, hit.row, condition) for hit in self.hits}
            self._thumbs = {hit.row: index.thumb(hit.row) for hit in self._drawn()}
            if settings.like_row is not None:
                name = f"row {settings.like_row}"
                own = index.thumb(settings.like_row)
                self._queries[name] = Query(name, _NOTHING, own)
        finally:
            index.close()

    def lines(self) -> list[str]:
        """Return lines for people: how many rows were found, where to look, and classes that the index does not have."""
        found = f"{len(self.hits)} row{'' if len(self.hits) == 1 else 's'}"
        if self._asked.find == "matches" and not self._queries:
            found = f"{self._selected} row{' matches' if self._selected == 1 else 's match'}"
            if self._selected > len(self.hits):
                found += f"; the first {len(self.hits)} are in {TABLE}, and max-results gives more"
        elif self._asked.find == "duplicates":
            groups = len({hit.group for hit in self.hits})
            found += f" in {groups} group{'' if groups == 1 else 's'} of near-duplicates"
        return [*self._unknown, found, *([f"Look at {SHEET} first, then at {TABLE}"] if self.hits else [])]

    def products(self, names: Names, provenance: Provenance) -> Iterator[Product]:
        """Yield results.csv, results.json and, if anything was found, the contact sheet."""
        table = Spool(self._folder / "results-table.csv", vital=True)
        table.write(csv_line(COLUMNS))
        for hit in self.hits:
            cells = _cells(hit, self._rows[hit.row])
            table.write(csv_line([cells.get(column, "") for column in COLUMNS]))
        aspect = table_aspect("search", COLUMNS, provenance, len(self.hits))
        yield Product(names.whole(TABLE), "text/csv", table.content(), aspect)
        found = {"$schema": SCHEMA, "results": [_plain(hit, self._rows[hit.row]) for hit in self.hits]}
        body = (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        yield Product(names.whole(RECORD), "application/json", body, aspect)
        if self.hits:
            yield Product(names.whole(SHEET), "image/jpeg", jpeg(draw_sheet(self._cards())), aspect)
        table.delete()

    def _drawn(self) -> list[Hit]:
        """Return the hits of the contact sheet."""
        return [hit for row in self._lines() for hit in row]

    def _lines(self) -> list[list[Hit]]:
        """Return the hits of each row of the sheet: of one query, of one group, or as many as fit."""
        kept: list[list[Hit]] = []
        for key, own in groupby(self.hits, lambda hit: (hit.query, hit.group)):
            hits = list(own)
            if key != ("", 0):
                kept.append(hits[:ACROSS])
                continue
            kept += [hits[start : start + ACROSS] for start in range(0, len(hits), ACROSS)]
        return kept[:DOWN]

    def _cards(self) -> list[list[Card]]:
        rows = []
        for hits in self._lines():
            query = self._queries.get(hits[0].query)
            first = [] if query is None else [Card(query.thumb, (query.name, "is looked for"))]
            rows.append([*first, *(self._card(hit) for hit in hits)])
        return rows

    def _card(self, hit: Hit) -> Card:
        row = self._rows[hit.row]
        score = "" if hit.score is None else f" {hit.score:.3f}"
        time = "" if row.time_s is None else f" {row.time_s:.2f} s"
        label = row.labels[0].name if row.labels else row.name.rsplit("/", 1)[-1] + time
        return Card(self._thumbs[hit.row], (f"{hit.rank}.{score}", label, f"row {hit.row}"))


def _unknown_classes(index: IndexReader, condition: Condition) -> list[str]:
    """Return a line for each class of a filter that the index does not have, with the one that was probably meant."""
    known = index.classes() if condition.classes else []
    folded = {name.casefold(): name for name in known}
    lines = []
    for name in dict.fromkeys(condition.classes):
        if name.casefold() in folded:
            continue
        close = difflib.get_close_matches(name.casefold(), folded, n=1)
        meant = (
            f"did you mean {folded[close[0]]!r}?" if close else f"it has {', '.join(known[:10]) or 'none'}"
        )
        lines.append(f"The index has no class {name!r}: {meant}")
    return lines


def _row(index: IndexReader, number: int, condition: Condition) -> Row:
    row = index.row(number, condition)
    if row is None:
        raise IndexFileError(f"its row {number} is missing")
    return row


def _cells(hit: Hit, row: Row) -> dict[str, Any]:
    """Return the cells of a row of results.csv; the class is that of the filter, or the one with the highest score or cover."""
    cells: dict[str, Any] = {
        "query": hit.query, "rank": hit.rank, "score": "" if hit.score is None else f"{hit.score:.6f}",
        "group": hit.group or "", "row": hit.row, "image": row.urn, "name": row.name, "media": row.media,
        "frame": row.frame, "time_s": "" if row.time_s is None else f"{row.time_s:.6f}",
        "track": "" if row.track is None else row.track, "site": row.site, "taken": row.taken or "",
    }  # fmt: skip
    if row.labels:
        best = row.labels[0]
        cells |= {
            "class": best.name,
            "class_score": "" if best.score is None else f"{best.score:.4f}",
            "cover": "" if best.cover is None else f"{best.cover:.6f}",
        }
    if row.box is not None:
        cells |= {name: f"{side:.2f}" for name, side in zip(("x0", "y0", "x1", "y1"), row.box, strict=True)}
    for name, value in (("latitude", row.latitude), ("longitude", row.longitude)):
        cells[name] = "" if value is None else f"{value:.6f}"
    return cells


def _plain(hit: Hit, row: Row) -> dict[str, Any]:
    """Return a result as plain values, with all classes."""
    return {
        "query": hit.query,
        "rank": hit.rank,
        "score": None if hit.score is None else round(hit.score, 6),
        "group": hit.group or None,
        "row": hit.row,
        "image": row.urn,
        "name": row.name,
        "media": row.media,
        "frame": row.frame,
        "time": row.time_s,
        "box": row.box,
        "track": row.track,
        "classes": [
            {
                "id": each.class_id,
                "name": each.name,
                "score": each.score,
                "cover": each.cover,
                "model": each.model,
            }
            for each in row.labels
        ],
        "site": row.site,
        "taken": row.taken,
        "latitude": row.latitude,
        "longitude": row.longitude,
    }
