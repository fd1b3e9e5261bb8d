"""Read an index: rows that a filter selects, what they are, and their vectors."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import IndexFileError
from quadrat.index import schema
from quadrat.index.identity import identity_in
from quadrat.index.language import OWN, WITH_OBJECTS, Condition

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
BLOCK = 32_768
"""Vectors that are read at a time."""
EARTH_KM = 6371.0088
"""The mean radius of the Earth (IUGG)."""
_EVERY = Condition("1", ())
_ROW = (
    "SELECT i.id, s.urn, s.name, s.media, s.site, s.taken, s.latitude, s.longitude, i.frame, i.time_s, "
    "i.x0, i.y0, i.x1, i.y1, i.track FROM items i JOIN sources s ON s.id = i.source WHERE i.id = ?"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A class in a row, with its score and cover in 0..1; None if the model gives none."""

    class_id: str
    name: str
    score: float | None
    cover: float | None
    model: str


@dataclass(frozen=True, slots=True)
class Row:
    """What an index holds of a picture, a frame or an object; `box` and `track` are None for a whole picture."""

    row: int
    urn: str
    name: str
    media: str
    site: str
    taken: str | None
    latitude: float | None
    longitude: float | None
    frame: int
    time_s: float | None
    box: tuple[float, float, float, float] | None
    track: int | None
    labels: tuple[Found, ...]


class IndexReader:
    """An index that nothing writes to. Close it."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._open = schema.open_for_reading(path)
        self._open.create_function("distance_km", 4, distance_km, deterministic=True)
        self.embedding = identity_in(schema.facts_in(self._open), self._name)

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def count(self) -> int:
        """Count the rows."""
        return self._value("SELECT count(*) FROM items")

    def vectors(self) -> int:
        """Count the rows that have a vector."""
        return self._value("SELECT count(*) FROM vectors")

    def _value(self, query: str) -> int:
        row: tuple[int] = self._all(query)[0]
        return row[0]

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._open.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise IndexFileError(
                f"it cannot be read: {error}", where=self._name, hint=schema.DAMAGED
            ) from error

    def select(self, condition: Condition) -> tuple[Ids, NDArray[np.float64]]:
        """Return the rows (N,) that a condition holds for, in their order, and what each is ranked by; NaN if nothing."""
        rank = "NULL"
        if condition.label:
            place = WITH_OBJECTS if condition.objects else OWN
            rank = f"(SELECT max(coalesce(l.cover, l.score)) {place} {condition.label})"
        query = f"SELECT i.id, {rank} FROM items i JOIN sources s ON s.id = i.source WHERE {condition.sql} ORDER BY i.id"  # noqa: S608 - the language makes it, with bound values
        found = self._all(query, [*condition.label_values, *condition.values])
        ids = np.array([each[0] for each in found], np.int64)
        return ids, np.array([np.nan if each[1] is None else each[1] for each in found], np.float64)

    def ids(self) -> Ids:
        """Return the rows that have a vector, in order."""
        return np.array([each[0] for each in self._all("SELECT item FROM vectors ORDER BY item")], np.int64)

    def blocks(self) -> Iterator[Floats]:
        """Yield all vectors in the order of `ids`, at most BLOCK at a time: (n, D) float32 of length 1.

        Raises IndexFileError for a vector with another number of values, or without a direction.
        """
        dimension = self.embedding.dimension if self.embedding is not None else 0
        try:
            cursor = self._open.execute("SELECT vector FROM vectors ORDER BY item")
            while rows := cursor.fetchmany(BLOCK):
                yield self._decoded([each for (each,) in rows], dimension)
        except sqlite3.Error as error:
            raise IndexFileError(
                f"it cannot be read: {error}", where=self._name, hint=schema.DAMAGED
            ) from error

    def _decoded(self, blobs: list[Any], dimension: int) -> Floats:
        if any(not isinstance(each, bytes) or len(each) != 2 * dimension for each in blobs):
            raise IndexFileError(
                f"a vector does not have {dimension} values", where=self._name, hint=schema.DAMAGED
            )
        block = np.frombuffer(b"".join(blobs), "<f2").reshape(len(blobs), dimension).astype(np.float32)
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        if not (np.isfinite(block).all() and lengths.all()):
            raise IndexFileError(
                "a vector has no direction (NaN, infinity or zeros)",
                where=self._name,
                hint=schema.DAMAGED,
            )
        block /= lengths  # float16 has changed the length a little
        return block

    def row(self, number: int, condition: Condition = _EVERY) -> Row | None:
        """Return a row; None if there is none of this number.

        Its classes are in the order of their cover or score, after those that a filter asks for.
        """
        found = self._all(_ROW, (number,))
        if not found:
            return None
        each = found[0]
        first = f"({condition.label}) DESC, " if condition.label else ""
        query = (
            "SELECT l.class_id, l.class, l.score, l.cover, l.model FROM labels l WHERE l.item = ? "  # noqa: S608 - the language makes the condition, with bound values
            f"ORDER BY {first}coalesce(l.cover, l.score) DESC, l.model, l.class_id"
        )
        labels = tuple(Found(*label) for label in self._all(query, (number, *condition.label_values)))
        box = None if each[10] is None else (each[10], each[11], each[12], each[13])
        return Row(*(*each[:10], box, each[14], labels))

    def classes(self) -> list[str]:
        """List the names of all classes in the index."""
        return [each for (each,) in self._all("SELECT DISTINCT class FROM labels ORDER BY class")]

    def thumb(self, number: int) -> bytes:
        """Return the thumbnail of a row, a JPEG; empty if it has none."""
        found = self._all("SELECT jpeg FROM thumbs WHERE item = ?", (number,))
        return bytes(found[0][0]) if found else b""


def distance_km(
    latitude: float | None, longitude: float | None, other_latitude: float, other_longitude: float
) -> float | None:
    """Return the distance of two places on a sphere in kilometres (haversine formula); None without a place."""
    if latitude is None or longitude is None:
        return None
    one, two = math.radians(latitude), math.radians(other_latitude)
    across = math.radians(other_longitude - longitude)
    share = math.sin((two - one) / 2) ** 2 + math.cos(one) * math.cos(two) * math.sin(across / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(share)))
