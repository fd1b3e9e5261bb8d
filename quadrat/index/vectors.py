"""Exact search among vectors, and what follows from the similarity of all pairs.

The similarity of two vectors of length 1 is the cosine of their angle: their product, summed in float32.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import QueryError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
IN_MEMORY = 1 << 30
"""Bytes of float32 above which a table lies in a temporary file, which the system maps into memory."""
BLOCK = 16_384
"""Rows that are compared at a time."""
ROUNDING = 2e-6
"""What the similarity of two equal vectors can be less than 1, because it is a sum in float32."""
MOST_PAIRED = 200_000
"""The most rows whose pairs are all compared: this takes minutes, and four times as long for twice as many."""


def load(blocks: Iterable[Floats], count: int, dimension: int, folder: Path) -> Floats:
    """Return all vectors as one table (count, dimension), in memory or in a file in `folder`. OSError if it is full."""
    shape = (count, dimension)
    table: Floats
    if 4 * count * dimension <= IN_MEMORY:
        table = np.empty(shape, np.float32)
    else:
        table = np.memmap(folder / "vectors.f32", np.float32, "w+", shape=shape)
    start = 0
    for block in blocks:
        table[start : start + len(block)] = block
        start += len(block)
    return table


def nearest(table: Floats, queries: Floats, count: int) -> tuple[Ints, Floats]:
    """Return the `count` rows most like each query (Q, D), and their similarities: (Q, k), the most similar first.

    Of equal rows, the first comes first. k is at most the number of rows.
    """
    count = min(count, len(table))
    best = [(np.zeros(0, np.int64), np.zeros(0, np.float32)) for _ in queries]
    for start in range(0, len(table), BLOCK):
        scores = queries @ table[start : start + BLOCK].T
        for place, own in enumerate(scores):
            best[place] = _merged(best[place], own, start, count)
    rows = np.array([rows for rows, _ in best], np.int64).reshape(len(queries), count)
    return rows, np.array([found for _, found in best], np.float32).reshape(len(queries), count)


def _merged(known: tuple[Ints, Floats], scores: Floats, start: int, count: int) -> tuple[Ints, Floats]:
    """Merge the scores of a block into the best so far; a row of the block that equals the last of them is later."""
    rows, best = known
    if len(rows) == count:
        fresh = np.flatnonzero(scores > best[-1]) if count else np.zeros(0, np.int64)
    elif count < len(scores):
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        fresh = np.flatnonzero(scores >= least)
    else:
        fresh = np.arange(len(scores))
    if not len(fresh):
        return known
    rows = np.concatenate([rows, fresh + start])
    best = np.concatenate([best, scores[fresh]])
    order = np.argsort(-best, kind="stable")[:count]
    return rows[order], best[order]


def closest_others(table: Floats) -> tuple[Ints, Floats]:
    """Return for each row the other row most like it (N,), and the similarity; -1 and -inf without another row.

    Raises QueryError if there are more than MOST_PAIRED rows.
    """
    _check_paired(len(table))
    rows = np.full(len(table), -1, np.int64)
    best = np.full(len(table), -np.inf, np.float32)
    for start, other, scores in _pairs(table):
        for here, there, block in ((start, other, scores), (other, start, scores.T)):
            found = block.argmax(axis=1)
            value = block[np.arange(len(block)), found]
            own = slice(here, here + len(block))
            better = value > best[own]  # of equal rows, the first comes first
            rows[own] = np.where(better, found + there, rows[own])
            best[own] = np.where(better, value, best[own])
    return rows, best


def groups(table: Floats, least: float) -> list[Ints]:
    """Return groups of at least two rows, in which each is at least `least` similar to another; the largest first.

    Similarities count up to ROUNDING, so that equal rows are in one group for `least` = 1.

    Raises QueryError if there are more than MOST_PAIRED rows.
    """
    _check_paired(len(table))
    parent = np.arange(len(table))
    for start, other, scores in _pairs(table):
        alike = scores >= least - ROUNDING
        for row in np.flatnonzero(alike.any(axis=1)).tolist():
            family = np.append(np.flatnonzero(alike[row]) + other, row + start)
            roots = _roots(parent, family)
            parent[roots] = parent[family] = roots.min()
    roots = _roots(parent, np.arange(len(table)))
    order = np.argsort(roots, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(roots[order])) + 1)
    return sorted((rows for rows in members if len(rows) > 1), key=lambda rows: (-len(rows), int(rows[0])))


def _roots(parent: Ints, rows: Ints) -> Ints:
    """Return the first row of the group of each row."""
    found = parent[rows]
    while not np.array_equal(above := parent[found], found):
        found = above
    return found


def _pairs(table: Floats) -> Iterable[tuple[int, int, Floats]]:
    """Yield the similarities of all pairs of blocks, each pair once; a row is not compared with itself."""
    size = min(BLOCK, 2048)
    for start in range(0, len(table), size):
        for other in range(start, len(table), size):
            scores = table[start : start + size] @ table[other : other + size].T
            if start == other:
                np.fill_diagonal(scores, -np.inf)
            yield start, other, scores


def _check_paired(count: int) -> None:
    if count > MOST_PAIRED:
        raise QueryError(
            f"all pairs of {count} rows would be compared, and {MOST_PAIRED} rows are the most",
            where="find",
            hint="Select fewer with --where",
        )


def spread(table: Floats, count: int) -> tuple[Ints, Floats]:
    """Return `count` rows that cover the table, and for each how similar it was to the nearest of those before it.

    The greedy solution of the k-centre problem: the first row is the one most like the mean, each next one the least
    like any chosen. The greatest distance of a row to the nearest chosen one is at most twice the smallest possible.
    Gonzalez, Clustering to Minimize the Maximum Intercluster Distance (1985); Sener and Savarese, Active Learning for
    Convolutional Neural Networks: A Core-Set Approach (2018).
    """
    count = min(count, len(table))
    chosen = np.zeros(count, np.int64)
    similar = np.full(count, np.nan, np.float32)
    best = np.full(len(table), -np.inf, np.float32)
    if not count:
        return chosen, similar
    mean = table.mean(axis=0, dtype=np.float64).astype(np.float32)
    for place in range(count):
        if place:
            masked = best.copy()
            masked[chosen[:place]] = np.inf
            row = int(masked.argmin())
            similar[place] = best[row]
        else:
            row = int(_times(table, mean).argmax())
        chosen[place] = row
        best = np.maximum(best, _times(table, table[row]))
    return chosen, similar


def _times(table: Floats, vector: Floats) -> Floats:
    """Return the product of every row with a vector, in blocks, because the table may lie in a file."""
    parts = [table[start : start + BLOCK] @ vector for start in range(0, len(table), BLOCK)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
