"""Compiled networks on disk, each under the digest of all that it depends on.

A file is MAGIC, the sha256 of all that follows it (a flipped bit in a weight or a name would go
unseen), the length of a JSON header (8 bytes, little endian), the header, zeros up to a page
border, and the blob. It is written beside its place and renamed, so it is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"quadrat2"
SIGNED = len(MAGIC) + 32
"""Where the part begins that the digest covers; the header begins 8 bytes later."""
PAGE = 4096
KEEP = 16
"""Blobs kept, the most recently used ones."""
STALE_S = 3600.0
"""Age at which a half-written file is taken for that of a killed process."""


class BlobCache:
    """A folder of blobs; where it cannot be used it says so once in the log and keeps nothing."""

    def __init__(self, folder: Path | None, log: logging.Logger) -> None:
        self._folder = folder
        self._log = log

    def load(self, key: str) -> tuple[dict[str, Any], NDArray[np.uint8]] | None:
        """Give (header, blob as private memory map) of `key`, or None; a damaged file is removed."""
        if self._folder is None:
            return None
        path = self._folder / f"{key}.blob"
        try:
            if path.stat().st_uid not in (os.getuid(), 0):
                raise ValueError("it belongs to another user")
            found = _read(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._log.warning("compiled network in the cache is not used: %s: %s", path.name, error)
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):  # a read-only cache is still a cache
            os.utime(path)
        return found

    def store(self, key: str, header: Mapping[str, Any], blob: memoryview) -> None:
        """Keep `blob` under `key` with a JSON-able `header`, and drop the blobs not used for longest."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(self._folder / f"{key}.blob", header, blob)
            _tidy(self._folder)
        except OSError as error:
            self._log.info("compiled network is not kept: %s", error)
            self._folder = None

    def drop(self, key: str) -> None:
        """Remove the blob of `key`: the library would not take it."""
        if self._folder is not None:
            with suppress(OSError):
                (self._folder / f"{key}.blob").unlink()


def _read(path: Path) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    # private and writable, as OpenVINO takes no read-only memory; it never reaches the file
    whole = np.memmap(path, dtype=np.uint8, mode="c")
    if whole[: len(MAGIC)].tobytes() != MAGIC:
        raise ValueError("it is not a compiled network")
    if hashlib.sha256(whole[SIGNED:].data).digest() != whole[len(MAGIC) : SIGNED].tobytes():
        raise ValueError("its digest differs")
    start = SIGNED + 8
    end = start + int.from_bytes(whole[SIGNED:start].tobytes(), "little")
    return json.loads(whole[start:end].tobytes()), whole[_page(end) :]


def _write(path: Path, header: Mapping[str, Any], blob: memoryview) -> None:
    text = json.dumps(header).encode()
    end = SIGNED + 8 + len(text)
    signed = (len(text).to_bytes(8, "little") + text).ljust(_page(end) - SIGNED, b"\0")
    total = hashlib.sha256(signed)
    total.update(blob)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(MAGIC + total.digest() + signed)
            file.write(blob)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _tidy(folder: Path) -> None:
    """Remove the blobs not used for longest, and what killed processes left half written."""
    blobs = sorted(folder.glob("*.blob"), key=_changed, reverse=True)
    stale = [part for part in folder.glob("*.part") if _changed(part) < time.time() - STALE_S]
    for old in blobs[KEEP:] + stale:
        old.unlink(missing_ok=True)


def _changed(path: Path) -> float:
    """Give the time of the last change; 0 for a file that another process has just removed."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _page(size: int) -> int:
    return -(-size // PAGE) * PAGE
