"""Answer what is looked for in an index: ranked rows with their scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import IndexFileError, QueryError
from quadrat.index import vectors
from quadrat.index.language import parse
from quadrat.index.read import IndexReader
from quadrat.parameters.searches import SearchSettings

LARGE = 200_000
"""Rows above which faiss searches, if it is installed."""
AT_ONCE = 256
"""Pictures that are looked for at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What is looked for: its `name` for people, its vector (D,) of length 1, and a small JPEG of it."""

    name: str
    vector: NDArray[np.float32]
    thumb: bytes = b""


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that was found for `query`, which is empty if no picture or row was given.

    `rank` counts from 1 within the query, or within the `group` of near-duplicates, which counts from 1 too. `score` is
    the similarity to the query, or to the row most like it; for a filter alone the cover or score of the class; None
    if there is none.
    """

    query: str
    rank: int
    row: int
    score: float | None
    group: int = 0


def answer(index: IndexReader, settings: SearchSettings, queries: Sequence[Query], folder: Path) -> list[Hit]:
    """Return the rows that the settings and the queries ask for; `folder` holds temporary files.

    Raises QueryError for a filter or a row that cannot be used, IndexFileError for an index without vectors.
    """
    selected, ranks = index.select(parse(settings.where))
    if settings.find == "matches" and not queries and settings.like_row is None:
        return _ranked(selected, ranks, settings.max_results)
    table = Table(index, selected, folder, filtered=bool(settings.where.strip()))
    if settings.find != "matches":
        return FINDERS[settings.find](table, settings)
    if settings.like_row is not None:
        queries = [_of_row(index, settings.like_row, folder)]
    hits: list[Hit] = []
    for start in range(0, len(queries), AT_ONCE):
        hits += table.matches(queries[start : start + AT_ONCE], settings.max_results, settings.like_row)
    return hits


def _ranked(rows: NDArray[np.int64], ranks: NDArray[np.float64], count: int) -> list[Hit]:
    """Return rows in the order of what they are ranked by, those without it last."""
    order = np.lexsort((rows, -np.nan_to_num(ranks, nan=-np.inf)))[:count]
    return [
        Hit("", place, int(rows[at]), None if np.isnan(ranks[at]) else float(ranks[at]))
        for place, at in enumerate(order.tolist(), 1)
    ]


def _of_row(index: IndexReader, row: int, folder: Path) -> Query:
    """Return the vector of a row as a query."""
    table = Table(index, np.array([row], np.int64), folder, filtered=True)
    if not len(table.rows):
        what = "has no vector" if index.row(row) is not None else "is not in the index"
        raise QueryError(f"the row {row} {what}", where="like-row")
    return Query(f"row {row}", table.vectors[0], index.thumb(row))


class Table:
    """The vectors (N, D) of an index, or of the rows that a filter has `selected`, with their `rows` (N,).

    Raises IndexFileError if the index has no vectors.
    """

    def __init__(
        self, index: IndexReader, selected: NDArray[np.int64], folder: Path, *, filtered: bool
    ) -> None:
        if index.embedding is None:
            raise IndexFileError(
                "it has no vectors",
                where="index",
                hint="Make it with a model that gives some (task embed), or look with --where alone",
            )
        ids = index.ids()
        kept = np.isin(ids, selected) if filtered else np.ones(len(ids), bool)
        self.rows = ids[kept]
        self._dimension = index.embedding.dimension
        self.vectors = vectors.load(_kept_blocks(index, kept), len(self.rows), self._dimension, folder)

    def matches(self, queries: Sequence[Query], count: int, without: int | None) -> list[Hit]:
        """Return the rows most like each query; `without` is a row that is not its own match."""
        given = np.stack([each.vector for each in queries]).astype(np.float32)
        if given.shape[1] != self._dimension:
            raise IndexFileError(
                f"its vectors have {self._dimension} values, and those of the pictures {given.shape[1]}"
            )
        places, scores = self._nearest(given, count + (without is not None))
        hits = []
        for query, own, similar in zip(queries, places, scores, strict=True):
            found = [
                (int(self.rows[place]), _similarity(score))
                for place, score in zip(own.tolist(), similar.tolist(), strict=True)
                if self.rows[place] != without
            ]
            hits += [Hit(query.name, rank, row, score) for rank, (row, score) in enumerate(found[:count], 1)]
        return hits

    def _nearest(
        self, given: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Search with faiss in a large table, if it is installed; both are exact."""
        if len(self.rows) > LARGE and find_spec("faiss") is not None:
            from quadrat.index.large import nearest

            return nearest(self.vectors, given, count)
        return vectors.nearest(self.vectors, given, count)


def _kept_blocks(index: IndexReader, kept: NDArray[np.bool_]) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors of the rows that are kept."""
    start = 0
    for block in index.blocks():
        yield block[kept[start : start + len(block)]]
        start += len(block)


def _duplicates(table: Table, settings: SearchSettings) -> list[Hit]:
    """Return groups of near-duplicates, each with the similarity of every row to the one in it most like it."""
    hits = []
    found = vectors.groups(table.vectors, settings.min_similarity)[: settings.max_results]
    for group, members in enumerate(found, 1):
        _, similar = vectors.closest_others(table.vectors[members])
        hits += [
            Hit("", rank, int(table.rows[place]), _similarity(score), group)
            for rank, (place, score) in enumerate(zip(members.tolist(), similar.tolist(), strict=True), 1)
        ]
    return hits


def _outliers(table: Table, settings: SearchSettings) -> list[Hit]:
    """Return the rows whose most similar other row is the least similar."""
    _, similar = vectors.closest_others(table.vectors)
    order = np.argsort(similar, kind="stable")[: settings.max_results].tolist()
    return [
        Hit("", rank, int(table.rows[at]), _similarity(float(similar[at])))
        for rank, at in enumerate(order, 1)
    ]


def _spread(table: Table, settings: SearchSettings) -> list[Hit]:
    """Return rows that cover the others, each with its similarity to the nearest of those before it."""
    places, similar = vectors.spread(table.vectors, settings.max_results)
    return [
        Hit("", rank, int(table.rows[at]), _similarity(score))
        for rank, (at, score) in enumerate(zip(places.tolist(), similar.tolist(), strict=True), 1)
    ]


def _similarity(score: float) -> float | None:
    """Return a cosine in -1..1, which rounding can exceed; None for NaN or infinity, which mean that there is none."""
    return min(1.0, max(-1.0, score)) if np.isfinite(score) else None


FINDERS = {"duplicates": _duplicates, "outliers": _outliers, "spread": _spread}
"""What finds rows by the similarity of all pairs, by the value of the parameter `find`."""
