"""Temporary folders of killed processes are removed, and no others."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from quadrat.stores.lock import FileLock
from quadrat.stores.temporary import LOCK, remove_abandoned, temporary_folder

KILLED = """
import os, sys, tempfile
from quadrat.stores.lock import FileLock
from quadrat.stores.temporary import temporary_folder
tempfile.tempdir = sys.argv[1]
with temporary_folder("order") as folder:
    (folder / "spool").write_text("x")
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TMPDIR of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_removed_with_all_that_is_in_it(tmp: Path) -> None:
    """Also after an error; while it is open, nobody else removes it."""
    with suppress(KeyError), temporary_folder("order") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("")
        assert folder.name.startswith("quadrat-order-")
        assert 0 == remove_abandoned()
        raise KeyError

    assert [] == list(tmp.iterdir())


@pytest.mark.process
def test_folders_of_killed_processes_are_removed(tmp: Path) -> None:
    """The lock has ended with the process."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp)], check=False)
    (left,) = tmp.iterdir()
    assert (-9, True) == (done.returncode, (left / "spool").exists())

    with temporary_folder("order") as own:
        assert 1 == remove_abandoned()
        assert [own] == list(tmp.iterdir())


def test_what_is_no_folder_of_ours_stays(tmp: Path) -> None:
    """Folders without a lock, files, links, and folders of other names."""
    (tmp / "quadrat-mine").mkdir()
    (tmp / "quadrat-file").write_text("")
    (tmp / "other").mkdir()
    (tmp / "other" / LOCK).write_text("")
    (tmp / "quadrat-link").symlink_to(tmp / "other")
    before = sorted(tmp.rglob("*"))

    assert 0 == remove_abandoned()
    assert before == sorted(tmp.rglob("*"))


@pytest.mark.parametrize("gone", [False, True])
def test_a_folder_that_another_order_takes_for_abandoned_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """Another order may hold the lock of a folder, or have removed it, before its own order has locked it."""
    made: list[Path] = []
    others: list[FileLock] = []
    make = tempfile.mkdtemp

    def taken(prefix: str) -> str:
        folder = Path(make(prefix=prefix, dir=tmp_path))
        made.append(folder)
        if len(made) < 3:
            others.append(FileLock(folder / LOCK))
            assert others[-1].acquire()
            if gone:
                shutil.rmtree(folder)
        return str(folder)

    monkeypatch.setattr(tempfile, "mkdtemp", taken)
    with temporary_folder("order") as folder:
        assert folder == made[2]
        (folder / "file").touch()
    for other in others:
        other.release()
