"""Which sources are chosen depends on their names only."""

from __future__ import annotations

import random
from pathlib import Path

from quadrat.report.sample import Sample, digest_of

NAMES = [f"site/{number}" for number in range(100)]


def accepted(path: Path, names: list[str]) -> set[str]:
    """Give the names that are accepted, in this order, each by a new object as collectors make them."""
    return {name for name in names if Sample(path, 8).accepts(name)}


def test_the_smallest_digests_are_always_accepted(tmp_path: Path) -> None:
    """In any order, after an interruption at any place, and hardly any others."""
    smallest = set(sorted(NAMES, key=digest_of)[:8])
    for seed in range(2):
        names = random.Random(seed).sample(NAMES, len(NAMES))
        whole = accepted(tmp_path / f"{seed}", names)
        resumed = accepted(tmp_path / f"{seed} 1", names[:37]) | accepted(tmp_path / f"{seed} 2", names[37:])
        assert smallest <= whole <= resumed
        assert len(whole) < 60


def test_a_file_that_cannot_be_used_accepts_more(tmp_path: Path) -> None:
    """Nothing is lost by it; what an earlier order has left is forgotten."""
    assert len(accepted(tmp_path, NAMES)) == len(NAMES)  # a folder
    sample = Sample(tmp_path / "x", 1)
    assert [sample.accepts(name) for name in sorted(NAMES, key=digest_of)[:2]] == [True, False]
    sample.forget()
    assert sample.accepts(NAMES[0])
    (tmp_path / "x").write_bytes(b"\xff\0")
    assert sample.accepts(NAMES[1])
