"""A spool holds any amount of text on disk and little in memory."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quadrat.report import spool
from quadrat.report.spool import HELD, Spool


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(max_size=30), max_size=30), st.integers(1, 40))
def test_what_is_written_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], held: int
) -> None:
    """Whole and in order, however much is kept in memory; a new spool begins an empty file."""
    monkeypatch.setattr(spool, "HELD", held)
    made = Spool(tmp_path / "spool")
    assert made.extend(texts) == len(texts)
    pieces = list(made.pieces())

    whole = "".join(texts).encode("utf-8", "replace").decode()
    assert "".join(pieces) == whole == made.path.read_bytes().decode()
    assert all(len(piece) <= held for piece in pieces)
    assert made.count == "".join(texts).count("\n")


def test_text_waits_in_memory_and_not_for_long(tmp_path: Path) -> None:
    """Small writes are collected; at HELD characters they go to the file."""
    made = Spool(tmp_path / "spool")
    made.write("a" * (HELD - 1))
    assert not made.path.exists()
    made.write("b")
    assert made.path.stat().st_size == HELD
    made.write("c")
    made.flush()
    assert made.path.read_text().endswith("bc")


def test_a_spool_can_be_written_to_after_it_was_read(tmp_path: Path) -> None:
    """Reading brings everything to the file and keeps it there."""
    made = Spool(tmp_path / "spool")
    made.write("a\r\n")
    assert list(made.pieces()) == ["a\r\n"]
    made.write("b\n")

    assert "".join(made.pieces()) == "a\r\nb\n"
    assert made.count == 2


def test_a_deleted_spool_leaves_nothing(tmp_path: Path) -> None:
    """Neither a file nor a text that would come later; deleting twice is harmless."""
    made = Spool(tmp_path / "spool")
    made.write("a")
    made.delete()
    made.flush()
    made.delete()

    assert list(tmp_path.iterdir()) == []


def test_what_utf8_cannot_hold_is_replaced(tmp_path: Path) -> None:
    """Names of files may have undecodable bytes."""
    made = Spool(tmp_path / "spool")
    made.write("b\udce9")

    assert list(made.pieces()) == ["b?"]


def refusing(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let every file be full at a size, with the cut piece that a full disk leaves."""
    opened = Path.open

    class Full:
        def __init__(self, path: Path) -> None:
            self.path = path

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None: ...

        def write(self, text: bytes) -> None:
            room = max(0, size - (self.path.stat().st_size if self.path.exists() else 0))
            with opened(self.path, "ab") as file:
                file.write(text[:room])
            if len(text) > room:
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        Path, "open", lambda self, mode="r", **how: Full(self) if mode == "ab" else opened(self, mode, **how)
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=30), st.integers(1, 40), st.integers(0, 60))
def test_a_vital_text_survives_a_full_disk(tmp_path: Path, texts: list[str], held: int, size: int) -> None:
    """Whole and in order, whenever the disk is full; another text is lost, and says so when it is read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "HELD", held)
        refusing(patch, size)
        vital, other = Spool(tmp_path / "vital", vital=True), Spool(tmp_path / "other")
        for text in texts:
            vital.write(text)
            other.write(text)
        content = vital.content()
        whole = "".join(texts).encode("utf-8", "replace")

        assert whole == (content if isinstance(content, bytes) else content.read_bytes())
        if len(whole) > size:
            with pytest.raises(OSError, match="No space"):
                other.flush()
