"""Arrays too large for memory: they lie in a file without a name, which goes when the array goes."""

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
"""Planes and pictures of more pixels lie on disk."""


def large(hw: HW) -> bool:
    """Whether a plane of (height, width) lies on disk."""
    return math.prod(hw) > LARGE_PIXELS


def scratch(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Give an array (H, W, ...) of zeros: in memory, or mapped from a file where it is `large`.

    The file has no name, so nothing is left behind however the process ends. Raises ImageSizeError
    where the disk of temporary files has no room for it.
    """
    if not large((shape[0], shape[1])):
        return np.zeros(shape, dtype)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    with tempfile.TemporaryFile(prefix="quadrat-") as file:
        _reserve(file, size)
        mapped = mmap.mmap(file.fileno(), size)
    return np.frombuffer(mapped, dtype).reshape(shape)


def check_room(size: int) -> None:
    """Raise ImageSizeError where the disk of temporary files has fewer than `size` bytes free."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if size > free:
        raise _no_room(size, free)


def _reserve(file: IO[bytes], size: int) -> None:
    """Take the room on disk now: a mapped file that finds none later ends the process (SIGBUS)."""
    check_room(size)
    if not hasattr(os, "posix_fallocate"):
        file.truncate(size)
        return
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        raise _no_room(size, shutil.disk_usage(tempfile.gettempdir()).free) from error


def _no_room(size: int, free: int) -> ImageSizeError:
    folder = tempfile.gettempdir()
    return ImageSizeError(
        f"measuring it takes {size / 1e9:.1f} GB of disk, and {folder} has {free / 1e9:.1f} GB free",
        hint="Make room, or name another disk in the environment variable TMPDIR",
    )
