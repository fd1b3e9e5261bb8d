"""Temporary folders, and the removal of those that a killed process has left."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from quadrat.stores.lock import FileLock

PREFIX = "quadrat-"
LOCK = ".lock"


@contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Give a folder in TMPDIR, which is locked and removed afterwards; OSError if it cannot be made."""
    folder, lock = _locked_folder(purpose)
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _locked_folder(purpose: str) -> tuple[Path, FileLock]:
    """Make a folder and lock it.

    Between the two, another process may take it for abandoned: it then holds the lock, or the folder is gone. Nothing
    is in it yet, so another one is made.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-"))
        lock = FileLock(folder / LOCK)
        try:
            if lock.acquire():
                return folder, lock
        except OSError:  # no room for a lock; only `remove_abandoned` needs it
            if folder.is_dir():
                return folder, lock


def remove_abandoned() -> int:
    """Remove the temporary folders of processes that were killed, and return their number.

    The lock of a folder ends with its process, on this machine and in every container. Folders of other users, and
    all folders on a file system without locks, stay.
    """
    count = 0
    with suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with suppress(OSError):
                count += not folder.is_symlink() and folder.is_dir() and _remove(folder)
    return count


def _remove(folder: Path) -> bool:
    """Remove a folder whose lock nobody holds."""
    if not (folder / LOCK).is_file():
        return False
    lock = FileLock(folder / LOCK)
    if not lock.acquire(certain=True):
        return False
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()
    return not folder.exists()
