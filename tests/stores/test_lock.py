"""A lock belongs to one process, and ends with it."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from quadrat.stores.lock import FileLock

HOLDER = """
import sys
from pathlib import Path
from quadrat.stores.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


def test_one_at_a_time(tmp_path: Path) -> None:
    """A second one is refused until the first is given back, also within a process."""
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release(remove=True)
    second.release()

    assert not (tmp_path / "lock").exists()


@pytest.mark.process
def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    """However that ends."""
    lock = FileLock(tmp_path / "lock")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not lock.acquire()
        holder.kill()
    assert lock.acquire()


def test_a_lock_whose_file_was_removed_is_taken_at_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs must not hold the locks of two files of one name."""
    path, locked = tmp_path / "lock", fcntl.flock
    turns = iter((True, False))

    def removing(handle: int, how: int) -> None:
        locked(handle, how)
        if next(turns):
            path.unlink()

    monkeypatch.setattr(fcntl, "flock", removing)
    lock = FileLock(path)

    assert lock.acquire()
    assert path.exists()
    monkeypatch.undo()
    assert not FileLock(path).acquire()


@pytest.mark.parametrize("certain", [False, True])
def test_on_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certain: bool
) -> None:
    """A run goes on; nothing is removed for lack of a lock."""

    def refuse(_handle: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)

    assert FileLock(tmp_path / "lock").acquire(certain=certain) is not certain
