"""Cache compiled networks on disk, each under the digest of everything it depends on.

A file consists of MAGIC, the sha256 of the rest (to detect flipped bits in weights or names), the length
of a JSON header (8 bytes, little endian), the header, zeros up to a page boundary, and the compiled network.
Files are written under a temporary name and renamed, so that a file is always complete.
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
"""Start of the part that the digest covers; the header starts 8 bytes later."""
PAGE = 4096
MAX_ENTRIES = 16
"""Number of networks kept, the most recently used ones."""
STALE_S = 3600.0
"""Age at which an unfinished file is assumed to be from a killed process."""


class CompileCache:
    """A folder of compiled networks; if it is not writable, this is logged once and nothing is cached."""

    def __init__(self, folder: Path | None, log: logging.Logger) -> None:
        self._folder = folder
        self._log = log

    def load(self, key: str) -> tuple[dict[str, Any], NDArray[np.uint8]] | None:
        """Return (header, network as private memory map) of `key`, or None; a damaged file is removed."""
        if self._folder is None:
            return None
        path = self._folder / f"{key}.blob"
        try:
            if hasattr(os, "getuid") and path.stat().st_uid not in (os.getuid(), 0):
                raise ValueError("it belongs to another user")
            entry = _read(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._log.warning("ignoring a compiled network in the cache: %s: %s", path.name, error)
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):  # a read-only cache is still usable
            os.utime(path)
        return entry

    def store(self, key: str, header: Mapping[str, Any], network: memoryview) -> None:
        """Store `network` under `key` with a JSON-serialisable `header`, and remove the least recently used ones."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(self._folder / f"{key}.blob", header, network)
            remove_old(self._folder, "*.blob", MAX_ENTRIES)
        except OSError as error:
            self._log.info("cannot cache the compiled network: %s", error)
            self._folder = None

    def drop(self, key: str) -> None:
        """Remove the network of `key`, which the library rejected."""
        if self._folder is not None:
            with suppress(OSError):
                (self._folder / f"{key}.blob").unlink()


def _read(path: Path) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    # private and writable, as OpenVINO rejects read-only memory; changes do not reach the file
    whole = np.memmap(path, dtype=np.uint8, mode="c")
    if whole[: len(MAGIC)].tobytes() != MAGIC:
        raise ValueError("it is not a file of this cache")
    if hashlib.sha256(whole[SIGNED:].data).digest() != whole[len(MAGIC) : SIGNED].tobytes():
        raise ValueError("its digest does not match")
    start = SIGNED + 8
    end = start + int.from_bytes(whole[SIGNED:start].tobytes(), "little")
    return json.loads(whole[start:end].tobytes()), whole[_round_to_page(end) :]


def _write(path: Path, header: Mapping[str, Any], network: memoryview) -> None:
    text = json.dumps(header).encode()
    end = SIGNED + 8 + len(text)
    signed = (len(text).to_bytes(8, "little") + text).ljust(_round_to_page(end) - SIGNED, b"\0")
    total = hashlib.sha256(signed)
    total.update(network)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(MAGIC + total.digest() + signed)
            file.write(network)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_old(folder: Path, pattern: str, most: int) -> None:
    """Remove all but the `most` recently used files of a pattern, and unfinished files (*.part) of killed processes."""
    used = sorted(folder.glob(pattern), key=_modified, reverse=True)
    stale = [part for part in folder.glob("*.part") if _modified(part) < time.time() - STALE_S]
    for old in used[most:] + stale:
        old.unlink(missing_ok=True)


def _modified(path: Path) -> float:
    """Return the modification time, or 0 if another process has just removed the file."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _round_to_page(size: int) -> int:
    return -(-size // PAGE) * PAGE
