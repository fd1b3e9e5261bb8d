"""Compiled networks on disk, each under the digest of all that it depends on.

A file is MAGIC, the length of a JSON header (8 bytes, little endian), the header, zeros up to a
page border, and the blob. It is written beside its place and renamed, so it is there whole or not
at all; the header has the blob's sha256, since a flipped bit in a weight would go unseen.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"quadrat1"
PAGE = 4096
KEEP = 16
"""Blobs kept, the most recently used ones."""


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
            blobs = sorted(self._folder.glob("*.blob"), key=lambda p: p.stat().st_mtime, reverse=True)
            for old in blobs[KEEP:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            self._log.info("compiled network is not kept: %s", error)
            self._folder = None

    def drop(self, key: str) -> None:
        """Remove the blob of `key`: the library would not take it."""
        if self._folder is not None:
            with suppress(OSError):
                (self._folder / f"{key}.blob").unlink()


def _read(path: Path) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    with path.open("rb") as file:
        start = file.read(len(MAGIC) + 8)
        size = int.from_bytes(start[len(MAGIC) :], "little")
        if start[: len(MAGIC)] != MAGIC or size > path.stat().st_size:
            raise ValueError("it is not a compiled network")
        header = json.loads(file.read(size))
    offset = _page(len(start) + size)
    if path.stat().st_size <= offset:
        raise ValueError("it ends early")
    # private and writable, as OpenVINO takes no read-only memory; it never reaches the file
    blob = np.memmap(path, dtype=np.uint8, mode="c", offset=offset)
    if hashlib.sha256(blob.data).hexdigest() != header["sha256"]:
        raise ValueError("its digest differs")
    return header, blob


def _write(path: Path, header: Mapping[str, Any], blob: memoryview) -> None:
    text = json.dumps({**header, "sha256": hashlib.sha256(blob).hexdigest()}).encode()
    start = MAGIC + len(text).to_bytes(8, "little") + text
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(start.ljust(_page(len(start)), b"\0"))
            file.write(blob)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _page(size: int) -> int:
    return -(-size // PAGE) * PAGE
