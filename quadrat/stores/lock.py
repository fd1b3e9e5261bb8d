"""A lock on a file, which ends with the process that holds it, however that ends."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


class FileLock:
    """A lock that one process at a time can hold; the file at `path` is only its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self, *, certain: bool = False) -> bool:
        """Take the lock without waiting, and return False if another process holds it.

        On a file system without locks the answer is True, or False if it has to be `certain`. Raises OSError if the
        file cannot be opened.
        """
        while True:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            if not _lock(handle, certain=certain):
                os.close(handle)
                return False
            if _is_at(handle, self._path):
                self._handle = handle
                return True
            os.close(handle)  # its holder removed the file in the meantime

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back; with `remove`, remove its file too."""
        if self._handle is None:
            return
        if remove and sys.platform != "win32":  # Windows removes no open file
            with suppress(OSError):
                self._path.unlink()
        os.close(self._handle)
        self._handle = None
        if remove and sys.platform == "win32":
            with suppress(OSError):
                self._path.unlink()


def _lock(handle: int, *, certain: bool) -> bool:
    """Lock an open file; False if another process has locked it, or if the file system has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _HELD and not certain  # any other error: there are no locks here
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
