"""Compare the exact search of an index with faiss Flat, on the same vectors and in one run, and time how an index is written.

    python -m benchmarks.search               1000 and 100,000 vectors of 512 values (needs the extra "search": faiss)
    python -m benchmarks.search --full        also 1,000,000, which takes 4 GB of memory and of disk
    python -m benchmarks.search --quick       1000 and 5000 vectors of 64 values, to see that it runs
    python -m benchmarks.search --json F      figures into a file

Both sides get the vectors as the index stores them, rounded to float16, and run on one thread. Each
round searches for every query with both, one after the other; ratios are computed round by round. Recall is the share of the
rows of faiss that quadrat gives; rows whose similarity equals that of the last within ROUNDING count as the same.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.index import vectors
from quadrat.index.archive import pack, unpacked
from quadrat.index.identity import Identity
from quadrat.index.read import IndexReader
from quadrat.index.write import IndexedFrame, IndexedSource, IndexWriter
from quadrat.records import Entry, Label

Floats = NDArray[np.float32]
FOUND = 10
"""Rows that each query asks for."""
ROUNDING = 1e-6
CLUSTERS = 500
REPEATED = 100_000
"""Rows up to which a round is repeated, because it would be too short to time."""
FRAMES = 1000
"""Frames of each source."""


def draw(count: int, dimension: int, seed: int) -> Floats:
    """Draw vectors of length 1 in clusters, as those of real pictures."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(CLUSTERS, dimension)).astype(np.float32)
    drawn = random.normal(size=(count, dimension)).astype(np.float32)
    drawn += centres[random.integers(CLUSTERS, size=count)]
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def ingest(path: Path, drawn: Floats) -> float:
    """Write an index with a class, a score and a vector for each row; return the rows per second."""
    begin = perf_counter()
    with IndexWriter(path, Identity("e" * 64, "look"), {"look": "e" * 64}) as writer:
        for start in range(0, len(drawn), FRAMES):
            source = IndexedSource(
                f"content {start}",
                f"urn:{start}",
                f"site/{start}.mp4",
                "video",
                "site",
                None,
                None,
                None,
                1920,
                1080,
            )
            labels = (Label("look", "urn:class:fish", "fish", 0.5),)
            rows = [
                (IndexedFrame(number, number / 25), Entry(labels=labels, vectors={"look": vector}))
                for number, vector in enumerate(drawn[start : start + FRAMES])
            ]
            writer.add(source, rows)
    return len(drawn) / (perf_counter() - begin)


def same(rows: NDArray[np.int64], scores: Floats, others: NDArray[np.int64]) -> float:
    """Return the recall of `rows` (Q, k) with their scores against `others`, with ties at the end as the same."""
    found = 0
    for own, own_scores, other in zip(rows, scores, others, strict=True):
        missing = len(set(other.tolist()) - set(own.tolist()))
        tied = int((own_scores <= own_scores[-1] + ROUNDING).sum())
        found += len(other) - max(0, missing - tied * (tied > 1))
    return found / others.size


def timed(function: Callable[[], Any], again: int = 1) -> tuple[float, Any]:
    """Return the seconds that a function takes, the mean of `again` calls, and its result."""
    begin = perf_counter()
    for _ in range(again):
        result = function()
    return (perf_counter() - begin) / again, result


def one_by_one(search: Callable[[Floats], tuple[Any, Any]], queries: Floats) -> tuple[Any, Any]:
    """Search for each query alone."""
    parts = [search(queries[place : place + 1]) for place in range(len(queries))]
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([scores for _, scores in parts])


def compare(count: int, dimension: int, queries: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Write, load and search one index, and return the figures."""
    import faiss

    drawn = draw(count, dimension, 2)
    rate = ingest(folder / "index.sqlite", drawn)
    pack_s, _ = timed(lambda: pack(folder / "index.sqlite", folder / "index.tgz", {}))
    (folder / "index.sqlite").unlink()
    with unpacked(folder / "index.tgz") as database:
        reader = IndexReader(database)
        load_s, table = timed(lambda: vectors.load(reader.blocks(), count, dimension, folder))
        reader.close()
    flat = faiss.IndexFlatIP(dimension)
    build_s, _ = timed(lambda: flat.add(np.ascontiguousarray(table)))
    asked = draw(queries, dimension, 3)

    def ours(some: Floats) -> tuple[Any, Any]:
        return vectors.nearest(table, some, FOUND)

    def theirs(some: Floats) -> tuple[Any, Any]:
        scores, rows = flat.search(some, FOUND)
        return rows, scores

    figures: dict[str, list[float]] = {"alone": [], "together": [], "ours_ms": [], "theirs_ms": []}
    recall = 1.0
    again = max(1, REPEATED // count)
    for number in range(rounds + 1):
        own_s, (rows, scores) = timed(lambda: one_by_one(ours, asked), again)
        other_s, (others, _) = timed(lambda: one_by_one(theirs, asked), again)
        own_all_s, _ = timed(lambda: ours(asked), again)
        other_all_s, _ = timed(lambda: theirs(asked), again)
        recall = min(recall, same(rows, scores, others))
        if number:  # the first is a warm-up
            figures["alone"].append(own_s / other_s)
            figures["together"].append(own_all_s / other_all_s)
            figures["ours_ms"].append(1000 * own_s / queries)
            figures["theirs_ms"].append(1000 * other_s / queries)
    size = (folder / "index.tgz").stat().st_size
    return {
        "rows": count, "dimension": dimension, "recall": recall, "ingest rows/s": rate, "pack s": pack_s,
        "load s": load_s, "faiss build s": build_s, "archive MB": size / 1e6,
        **{name: [min(each), median(each), max(each)] for name, each in figures.items()},
    }  # fmt: skip


def show(found: Sequence[dict[str, Any]]) -> None:
    """Print the figures as the table of docs/benchmarks.md."""
    print(
        "| rows | recall | one query, ratio to faiss | all queries at once, ratio | rows written a second | archive MB |"
    )
    print("|---|---|---|---|---|---|")
    for each in found:
        alone, together = ("-".join(f"{value:.2f}" for value in each[name]) for name in ("alone", "together"))
        print(
            f"| {each['rows']:,} x {each['dimension']} | {each['recall']:.4f} | {alone} | {together} | "
            f"{each['ingest rows/s']:,.0f} | {each['archive MB']:.0f} |"
        )


def main() -> None:
    """Run the comparison and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    counts = [1000, 5000] if given.quick else [1000, 100_000, *([1_000_000] if given.full else [])]
    dimension, rounds = (64, 2) if given.quick else (512, given.rounds)
    found = []
    for count in counts:
        folder = Path(tempfile.mkdtemp(prefix="quadrat-benchmark-"))
        try:
            found.append(compare(count, dimension, given.queries, rounds, folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    show(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
