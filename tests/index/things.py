"""Makes small indexes for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quadrat.index.archive import pack
from quadrat.index.identity import Identity
from quadrat.index.read import IndexReader
from quadrat.index.write import IndexedFrame, IndexedSource, IndexWriter
from quadrat.records import Entry, Label

MODELS = {"fish": "f" * 64, "look": "e" * 64}
LOOK = Identity(MODELS["look"], "look")


def source(name: str, *, media: str = "image", **facts: object) -> IndexedSource:
    """Describe a source; its content is its name."""
    values = {"taken": None, "latitude": None, "longitude": None, "width": 640, "height": 480, **facts}
    site = name.rpartition("/")[0]
    return IndexedSource(f"sha of {name}", f"urn:{name}", name, media, site, **values)  # type: ignore[arg-type]


def unit(values: Sequence[float]) -> np.ndarray:
    """Return a vector of length 1."""
    vector = np.asarray(values, np.float64)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def entry(
    *labels: tuple[str, float | None, float | None], vector: Sequence[float] = (), **more: object
) -> Entry:
    """Make an entry: labels are (class, score, cover)."""
    found = tuple(Label("fish", f"urn:class:{name}", name, score, cover) for name, score, cover in labels)
    vectors = {"look": unit(vector)} if len(vector) else {}
    return Entry(labels=found, vectors=vectors, **more)  # type: ignore[arg-type]


def write(path: Path, *sources: tuple[IndexedSource, Sequence[Entry]], new: bool = True) -> int:
    """Write sources, each with the entries of its first frame, and return the number of new rows."""
    with IndexWriter(path, LOOK, MODELS, new=new) as writer:
        for each, entries in sources:
            frame = IndexedFrame(0, None if each.media == "image" else 1.5)
            writer.add(each, [(frame, one) for one in entries])
    return writer.rows


def packed(folder: Path, *sources: tuple[IndexedSource, Sequence[Entry]]) -> Path:
    """Write an index.tgz."""
    write(folder / "db.sqlite", *sources)
    pack(folder / "db.sqlite", folder / "index.tgz", {})
    return folder / "index.tgz"


def dump(path: Path) -> list[str]:
    """Return the content of a database as SQL."""
    import sqlite3

    opened = sqlite3.connect(path)
    try:
        return list(opened.iterdump())
    finally:
        opened.close()


def names(reader: IndexReader, rows: Sequence[int]) -> list[str]:
    """Return the names of rows."""
    found = [reader.row(int(row)) for row in rows]
    return [each.name for each in found if each is not None]
