"""A journal is read to its last whole value, and nothing in it can act."""

from __future__ import annotations

import errno
import os
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quadrat.errors import ModelError, TooManyObjectsError
from quadrat.report.counts import ClassCount
from quadrat.stores.entries import Begun, Written, checked_name
from quadrat.stores.journal import Journal
from quadrat.types import ClassInfo, Cover, Reading, Source

VALUES = (
    Begun({"model": "reef"}),
    Written({"mask/a.png": "0" * 64}, table=False),
    Source("urn:a", "a.png", stem="T13/a"),
    (TooManyObjectsError("more", where="a", hint="Raise it"), ModelError("no")),
    {"boxes": np.arange(8, dtype=np.float32).reshape(2, 4), "scores": np.float64(0.5), "none": np.zeros((0, 4))},
    Reading((4, 6), 25.0, 20, read=9),
    (Cover(0, "urn:c", "sand", (1, 2, 3), 5, 0.5), ClassCount(ClassInfo(0, "u", "n", (0, 0, 0)), 2, 0.5)),
    [Path("a/b"), {1, 2}, frozenset("a"), Counter("aab"), 1 << 80, 0.1, None, True, b"x", "\udce9"],
)  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Compare what is shown, as errors and arrays have no equality."""
    return repr(one) == repr(other)


def test_what_is_added_is_read_back_by_another_process(tmp_path: Path) -> None:
    """Every kind of value that a record has, at its offset."""
    journal = Journal(tmp_path / "journal")
    offsets = [journal.add(value) for value in VALUES]
    other = Journal(tmp_path / "journal")

    assert offsets == [offset for offset, _ in other.scan()]
    assert all(same(other.read(offset), value) for offset, value in zip(offsets, VALUES, strict=True))
    assert [offsets[3]] == [offset for offset, _ in other.scan(offsets[3])][:1]
    assert list(Journal(tmp_path / "none").scan()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_cut_or_damaged_end_is_dropped(tmp_path: Path, data: st.DataObject) -> None:
    """Whole values before it stay; after a repair the journal grows on."""
    path = tmp_path / "journal"
    path.unlink(missing_ok=True)
    journal = Journal(path)
    offsets = [journal.add(value) for value in VALUES] + [path.stat().st_size]
    body = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(body) - 1))
    if data.draw(st.booleans()):
        del body[at:]
    else:
        body[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(body)
    whole = sum(end <= at for end in offsets[1:])
    read = [value for _, value in Journal(path).scan(repair=True)]

    assert len(read) == whole
    assert all(same(value, VALUES[place]) for place, value in enumerate(read))
    Journal(path).add("more")
    assert [value for _, value in Journal(path).scan()][whole:] == ["more"]


class Act:
    """What an attacker would pickle."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize(
    "value",
    [
        Act(os.system, "true"),
        Act(eval, "1"),
        Act(getattr, "a", "upper"),
        Act(Path.unlink, Path("a")),
        Act(checked_name, "a"),
        Act(pickle.loads, b""),
        Act(np.load, "a"),
        [Begun({}), Act(os.getcwd)],
    ],
    ids=str,
)
def test_a_journal_of_somebody_else_cannot_act(tmp_path: Path, value: Any) -> None:
    """A folder of results may come from anywhere: such a value is left out, others are read."""
    journal = Journal(tmp_path / "journal")
    offset = journal.add(value)
    journal.add("after")

    other = Journal(tmp_path / "journal")
    assert [value for _, value in other.scan()] == ["after"]
    with pytest.raises(pickle.UnpicklingError, match="is not allowed"):
        other.read(offset)


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cut value is removed at once."""
    journal, opened = Journal(tmp_path / "journal"), Path.open
    journal.add("first")

    def full(self: Path, mode: str = "r", *given: Any, **named: Any) -> Any:
        file = opened(self, mode, *given, **named)
        if mode == "ab":

            def write(body: bytes) -> int:
                type(file).write(file, body[:5])
                raise OSError(errno.ENOSPC, "No space left on device")

            return _Proxy(file, write)
        return file

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space"):
        journal.add("second")
    monkeypatch.undo()

    journal.add("third")
    assert ["first", "third"] == [value for _, value in journal.scan()]


class _Proxy:
    """A file whose `write` is replaced."""

    def __init__(self, file: Any, write: Any) -> None:
        self._file = file
        self.write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
