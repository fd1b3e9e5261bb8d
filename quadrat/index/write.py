"""Write an index: pictures, frames and objects, each once, whatever is appended how often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from quadrat.errors import IndexFileError
from quadrat.index import schema
from quadrat.index.identity import Identity, identity_in
from quadrat.records import Entry

STEP = 10_000
"""Rows of one transaction."""
DIGITS = 2
"""Decimals of a box, in pixels: those of the tables."""


@dataclass(frozen=True, slots=True)
class IndexedSource:
    """A source as the index holds it: `content` identifies its content, `site` is the folder of its name.

    `taken` is the local time in ISO 8601, `latitude` and `longitude` are in degrees; None if they are not known.
    """

    content: str
    urn: str
    name: str
    media: str
    site: str
    taken: str | None
    latitude: float | None
    longitude: float | None
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class IndexedFrame:
    """The number of a frame in its source, and its time in seconds; None for a picture."""

    index: int
    time_s: float | None


class IndexWriter:
    """Appends to the database at `path`, or to a new one, in transactions of STEP rows.

    `embedding` is what gives the vectors, None if nothing does; `models` are the digests of all models by name. An item
    is identified by the content of its source, the frame, and for objects the model and the box, so that appending
    the same again changes nothing. `rows` counts the new items. Use it as a context manager: without an error, one file remains.
    """

    def __init__(
        self, path: Path, embedding: Identity | None, models: Mapping[str, str], *, new: bool = True
    ) -> None:
        self._name = path.name
        self._embedding = embedding
        self._models = models
        self._open = schema.create(path) if new else schema.open_for_writing(path)
        self._known = identity_in(schema.facts_in(self._open), self._name)
        self._pending = 0
        self.rows = 0

    def __enter__(self) -> IndexWriter:
        self._open.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Commit and close; after an error, only close."""
        if kind is None:
            self._open.execute("COMMIT")
            schema.close_written(self._open)
        else:
            self._open.close()

    def add(self, source: IndexedSource, entries: Iterable[tuple[IndexedFrame, Entry]]) -> None:
        """Add the entries of a source that the index does not have yet.

        Raises IndexFileError for a vector of another embedding than those of the index, or without a direction.
        """
        number = self._source(source)
        for frame, entry in entries:
            self._entry(number, frame, entry)
            self._pending += 1
            if self._pending >= STEP:
                self._open.execute("COMMIT")
                self._open.execute("BEGIN")
                self._pending = 0

    def _source(self, source: IndexedSource) -> int:
        columns = (
            "content",
            "urn",
            "name",
            "media",
            "site",
            "taken",
            "latitude",
            "longitude",
            "width",
            "height",
        )
        values = [getattr(source, each) for each in columns]
        self._open.execute(
            f"INSERT OR IGNORE INTO sources ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",  # noqa: S608 - names of columns
            values,
        )
        return self._id("SELECT id FROM sources WHERE content = ?", (source.content,))

    def _entry(self, source: int, frame: IndexedFrame, entry: Entry) -> None:
        box = (None,) * 4 if entry.box is None else tuple(round(side, DIGITS) for side in entry.box)
        key = schema.WHOLE
        if entry.box is not None:
            key = f"{self._models[entry.model]} {' '.join(f'{side:.{DIGITS}f}' for side in entry.box)}"
        track = entry.track if entry.track >= 0 else None
        item = self._item((source, frame.index, key, frame.time_s, *box, track))
        if entry.labels:
            self._open.executemany(
                "INSERT OR IGNORE INTO labels VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (item, self._models[each.model], each.id, each.name, each.score, each.cover)
                    for each in entry.labels
                ],
            )
        if entry.thumb:
            self._open.execute("INSERT OR IGNORE INTO thumbs VALUES (?, ?)", (item, entry.thumb))
        self._vector(item, entry)

    def _item(self, values: tuple[Any, ...]) -> int:
        """Return the number of an item, which is added if it is new."""
        made = self._open.execute(
            "INSERT OR IGNORE INTO items (source, frame, object, time_s, x0, y0, x1, y1, track) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        if made.rowcount and made.lastrowid is not None:
            self.rows += 1
            return made.lastrowid
        return self._id("SELECT id FROM items WHERE source = ? AND frame = ? AND object = ?", values[:3])

    def _vector(self, item: int, entry: Entry) -> None:
        """Store the vector of the index's own embedding."""
        if self._embedding is None or self._embedding.name not in entry.vectors:
            return
        vector = entry.vectors[self._embedding.name]
        if not np.isfinite(vector).all() or not vector.any():
            raise IndexFileError("a vector has no direction (NaN or zeros)", where=self._name)
        self._know(len(vector))
        stored = vector.astype("<f2").tobytes()
        self._open.execute("INSERT OR IGNORE INTO vectors VALUES (?, ?)", (item, stored))

    def _know(self, dimension: int) -> None:
        """Note what the vectors are, with the first."""
        if self._embedding is None:
            return
        own = replace(self._embedding, dimension=dimension)
        if self._known is not None:
            self._known.check(own, self._name)
            return
        self._known = own
        self._open.executemany("INSERT INTO facts VALUES (?, ?)", sorted(own.facts().items()))

    def _id(self, query: str, values: tuple[Any, ...]) -> int:
        row: tuple[int] = self._open.execute(query, values).fetchone()
        return row[0]
