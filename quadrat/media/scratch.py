"""Arrays in unnamed temporary files, for planes and pictures too large for memory."""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from quadrat.errors import ImageSizeError
from quadrat.geometry import HW

LARGE_PIXELS = 50_000_000
"""Planes and pictures of more pixels are kept on disk."""


def large(hw: HW) -> bool:
    """Return True if a plane of `hw` (height, width) is kept on disk."""
    return math.prod(hw) > LARGE_PIXELS


def scratch(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array (H, W, ...) of zeros, in memory or, if it is `large`, in a memory-mapped file.

    The file has no name and is deleted with the array, however the process ends. Raises ImageSizeError
    if the disk for temporary files has too little space.
    """
    if not large((shape[0], shape[1])):
        return np.zeros(shape, dtype)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    with tempfile.TemporaryFile(prefix="quadrat-") as file:
        _reserve(file, size)
        mapped = mmap.mmap(file.fileno(), size)
    return np.frombuffer(mapped, dtype).reshape(shape)


def check_space(size: int) -> None:
    """Raise ImageSizeError if the disk for temporary files has fewer than `size` bytes free."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if size > free:
        raise _no_space(size, free)


def _reserve(file: IO[bytes], size: int) -> None:
    """Allocate the disk space now: running out of it later would kill the process (SIGBUS)."""
    check_space(size)
    if not hasattr(os, "posix_fallocate"):
        file.truncate(size)
        return
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        raise _no_space(size, shutil.disk_usage(tempfile.gettempdir()).free) from error


def _no_space(size: int, free: int) -> ImageSizeError:
    folder = tempfile.gettempdir()
    return ImageSizeError(
        f"measuring it needs {size / 1e9:.1f} GB of disk, but {folder} has only {free / 1e9:.1f} GB free",
        hint="Free some disk space, or set TMPDIR to a folder on another disk",
    )
