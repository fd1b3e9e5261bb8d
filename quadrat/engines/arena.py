"""Memory that two processes share: arrays pass through it without a copy by the kernel."""

from __future__ import annotations

import math
import mmap
import os
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGN = 64
"""Arrays begin at multiples of this, a cache line."""


def shared_file() -> int | None:
    """Return the descriptor of a new file in memory without a name, or None if this system has none.

    It can grow, but not shrink: reading behind the end of a file that the other side has cut would crash.
    """
    create = getattr(os, "memfd_create", None)
    if create is None:
        return None
    import fcntl

    try:
        handle: int = create("quadrat", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    except OSError:
        return None
    return handle


class Arena:
    """One side's view of a shared file. One side writes and the other reads, in turns."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._map: mmap.mmap | None = None
        weakref.finalize(self, os.close, handle)  # another thread may still read what it was sent

    def write(self, arrays: Mapping[str, NDArray[Any]]) -> list[int]:
        """Copy arrays into the file, which grows if necessary, and return their offsets. MemoryError if it cannot grow."""
        offsets, end = [], 0
        for array in arrays.values():
            offsets.append(end)
            end += -(-array.nbytes // ALIGN) * ALIGN
        whole = self._whole(end, grow=True)
        for array, offset in zip(arrays.values(), offsets, strict=True):
            np.frombuffer(whole, array.dtype, array.size, offset).reshape(array.shape)[...] = array
        return offsets

    def view(self, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int) -> NDArray[Any]:
        """Return an array in the file, which is valid until the other side writes. ValueError if it lies outside."""
        count = math.prod(shape)
        whole = self._whole(offset + count * dtype.itemsize, grow=False)
        return np.frombuffer(whole, dtype, count, offset).reshape(shape)

    def _whole(self, size: int, *, grow: bool) -> mmap.mmap:
        size = max(size, ALIGN)
        if self._map is None or len(self._map) < size:
            there = os.fstat(self._handle).st_size
            if there < size:
                if not grow:
                    raise ValueError(f"an array ends at {size} in a shared file of {there} bytes")
                there = size
            try:
                if grow:
                    os.ftruncate(self._handle, there)
                self._map = mmap.mmap(self._handle, there)
            except OSError as error:
                raise MemoryError(f"{size} bytes cannot be shared: {error}") from error
        return self._map
