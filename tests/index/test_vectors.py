"""Exact search: it equals the plain definition, whatever the sizes of blocks."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.errors import QueryError
from quadrat.index import vectors


def table(count: int, dimension: int = 8, seed: int = 1) -> np.ndarray:
    """Draw vectors of length 1."""
    drawn = np.random.default_rng(seed).normal(size=(count, dimension))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=[1, 3, 7, 4096])
def block(request, monkeypatch):
    """Blocks of several sizes."""
    monkeypatch.setattr(vectors, "BLOCK", request.param)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("count", [1, 2, 20])
@pytest.mark.parametrize("wanted", [1, 5, 50])
def test_the_nearest_are_those_of_a_full_sort(count, wanted):
    """The most similar first."""
    rows, queries = table(count), table(4, seed=2)
    places, scores = vectors.nearest(rows, queries, wanted)

    expected = queries @ rows.T
    order = np.argsort(-expected, axis=1, kind="stable")[:, :wanted]
    assert places.tolist() == order.tolist()
    assert scores == pytest.approx(np.take_along_axis(expected, order, axis=1), abs=1e-6)


@pytest.mark.usefixtures("block")
def test_of_equal_rows_the_first_comes_first():
    """Ties do not depend on blocks."""
    rows = np.tile(table(1), (9, 1))
    assert vectors.nearest(rows, rows[:1], 4)[0].tolist() == [[0, 1, 2, 3]]


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("count", [1, 2, 3, 25])
def test_closest_others(count):
    """No row is its own neighbour."""
    rows = table(count)
    found, similar = vectors.closest_others(rows)

    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    if count == 1:
        assert (found.tolist(), similar.tolist()) == ([-1], [-np.inf])
    else:
        assert found.tolist() == scores.argmax(axis=1).tolist()
        assert similar == pytest.approx(scores.max(axis=1), abs=1e-6)


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("least", [-1.0, 0.3, 0.6, 0.9, 1.01])
def test_groups_are_the_connected_parts(least):
    """Each row of a group is similar to another in it, and to none outside."""
    rows = table(40, dimension=4)
    found = vectors.groups(rows, least)

    alike = rows @ rows.T >= least
    for members in found:
        assert len(members) > 1
        outside = np.setdiff1d(np.arange(len(rows)), members)
        assert not alike[np.ix_(members, outside)].any()
        reached = {int(members[0])}
        while more := {j for i in reached for j in np.flatnonzero(alike[i]).tolist()} - reached:
            reached |= more
        assert sorted(reached) == members.tolist()
    grouped = {row for members in found for row in members.tolist()}
    np.fill_diagonal(alike, False)
    assert grouped == set(np.flatnonzero(alike.any(axis=1)).tolist())
    assert [len(members) for members in found] == sorted((len(each) for each in found), reverse=True)


@pytest.mark.usefixtures("block")
def test_the_chosen_rows_cover_the_others():
    """The greatest distance to a chosen row is at most twice that of any choice, here of all choices of 3 of 12."""
    import itertools

    rows = table(12, dimension=3)
    distance = np.sqrt(np.maximum(0, 2 - 2 * rows @ rows.T))
    chosen, similar = vectors.spread(rows, 3)

    assert len(set(chosen.tolist())) == 3
    best = min(distance[:, list(choice)].min(axis=1).max() for choice in itertools.combinations(range(12), 3))
    assert distance[:, chosen].min(axis=1).max() <= 2 * best + 1e-6
    assert np.isnan(similar[0])
    assert similar[1] == pytest.approx(float(rows[chosen[1]] @ rows[chosen[0]]), abs=1e-6)


def test_all_rows_can_be_chosen_also_equal_ones():
    """Each once."""
    rows = np.tile(table(2), (3, 1))
    assert sorted(vectors.spread(rows, 10)[0].tolist()) == list(range(6))
    assert len(vectors.spread(rows[:0], 10)[0]) == 0


def test_a_large_table_lies_in_a_file(tmp_path, monkeypatch):
    """And gives the same."""
    rows = table(50)
    monkeypatch.setattr(vectors, "IN_MEMORY", 100)
    loaded = vectors.load(iter([rows[:30], rows[30:]]), 50, 8, tmp_path)
    assert isinstance(loaded, np.memmap)
    assert vectors.nearest(loaded, rows[:3], 5)[0].tolist() == vectors.nearest(rows, rows[:3], 5)[0].tolist()


def test_too_many_pairs_are_refused(monkeypatch):
    """With what helps."""
    monkeypatch.setattr(vectors, "MOST_PAIRED", 5)
    for function in (lambda: vectors.groups(table(6), 0.9), lambda: vectors.closest_others(table(6))):
        with pytest.raises(QueryError, match="all pairs of 6 rows") as raised:
            function()
        assert "--where" in raised.value.hint


@pytest.mark.parametrize("dimension", [3, 64, 512, 2048])
def test_equal_rows_are_near_duplicates_at_any_similarity(dimension):
    """Also at 1, which the product of a vector with itself may miss by its rounding."""
    rows = table(30, dimension)
    found = vectors.groups(np.concatenate([rows, rows]), 1.0)
    assert [each.tolist() for each in found] == [[row, row + 30] for row in range(30)]
