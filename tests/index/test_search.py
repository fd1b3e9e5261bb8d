"""Answers of an index: faiss searches large tables, and gives what NumPy gives."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from quadrat.errors import IndexFileError
from quadrat.index import search
from quadrat.index.read import IndexReader
from quadrat.index.search import Query, answer
from quadrat.parameters import SearchSettings
from tests.index.things import entry, source, unit, write


class Flat:
    """A stand-in for faiss.IndexFlatIP."""

    made = 0

    def __init__(self, dimension: int) -> None:
        self._rows = np.zeros((0, dimension), np.float32)
        Flat.made += 1

    def add(self, rows: np.ndarray) -> None:
        """Add rows."""
        self._rows = np.concatenate([self._rows, rows])

    def search(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return similarities and rows."""
        scores = queries @ self._rows.T
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(scores, rows, axis=1), rows


@pytest.fixture
def reader(tmp_path: Path):
    """An index of 30 pictures; every third has no vector."""
    drawn = np.random.default_rng(3).normal(size=(30, 4))
    things = [
        (source(f"{n}.jpg"), [entry(("cod", n / 30, None), vector=drawn[n] if n % 3 else ())])
        for n in range(30)
    ]
    write(tmp_path / "db", *things)
    opened = IndexReader(tmp_path / "db")
    yield opened
    opened.close()


QUERIES = [Query("q", unit((1, 2, 3, 4))), Query("r", unit((-1, 0, 1, 0)))]


def test_large_tables_are_searched_by_faiss(reader, tmp_path, monkeypatch):
    """The answers are the same; a filter holds for both."""
    faiss = ModuleType("faiss")
    faiss.__spec__ = ModuleSpec("faiss", None)
    faiss.IndexFlatIP = Flat  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faiss", faiss)
    for settings in (
        SearchSettings(max_results=5),
        SearchSettings(where="class = cod and score > 0.5"),
        SearchSettings(like_row=2),
    ):
        given = () if settings.like_row else QUERIES
        expected = answer(reader, settings, given, tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr(search, "LARGE", 3)
            Flat.made = 0
            found = answer(reader, settings, given, tmp_path)
        assert Flat.made == 1
        assert [(hit.query, hit.rank, hit.row) for hit in found] == [
            (hit.query, hit.rank, hit.row) for hit in expected
        ]


def test_rows_without_vectors_are_not_found(reader, tmp_path):
    """Every third has none; without faiss and pictures they are."""
    found = {hit.row for hit in answer(reader, SearchSettings(max_results=50), QUERIES, tmp_path)}
    assert found == {row for row in range(1, 31) if (row - 1) % 3}
    assert len(answer(reader, SearchSettings(where="class = cod", max_results=50), (), tmp_path)) == 30


def test_a_row_is_not_its_own_match(reader, tmp_path):
    """Unless there is an equal one."""
    found = answer(reader, SearchSettings(like_row=2, max_results=50), (), tmp_path)
    assert 2 not in {hit.row for hit in found}
    assert len(found) == 19
    assert [hit.rank for hit in found] == list(range(1, 20))


def test_pictures_of_another_length_are_refused(reader, tmp_path):
    """A model that gives other vectors under the same digest does not exist, but an index can be made up."""
    with pytest.raises(IndexFileError, match="4 values, and those of the pictures 2"):
        answer(reader, SearchSettings(), [Query("q", unit((1, 2)))], tmp_path)


@pytest.mark.needs_peers
@pytest.mark.process
def test_faiss_gives_what_numpy_gives():
    """The benchmark compares the two: recall 1."""
    import os
    import subprocess

    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [os.environ["QUADRAT_PEERS_PYTHON"], "-m", "benchmarks.search", "--quick"],
        cwd=root, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| 1.0000 |") == 2
