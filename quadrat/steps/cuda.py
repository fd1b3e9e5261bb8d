"""OpenCV's CUDA filters for the steps that have one. They are off.

A step may use a CUDA filter only if the filter gives the same picture as the CPU's: results must not depend on the
machine. OpenCV's wheels contain no CUDA, and no build with it was at hand to compare the pictures, so `SAME_PICTURE` is
empty and the steps run on the CPU everywhere. Whoever has such a build can compare them with `tests/steps/test_cuda.py`,
and add the names that pass.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from quadrat.types import ImageU8

_FILTERS: Any = cv2.cuda  # the wheel's stubs lack most of the module

SAME_PICTURE: frozenset[str] = frozenset()
"""Steps whose CUDA filter was seen to give exactly the CPU's picture."""


def available() -> bool:
    """Return True if OpenCV has CUDA and a device. That `cv2.cuda` exists says nothing: in wheels it is a stub."""
    return bool(cv2.cuda.getCudaEnabledDeviceCount() > 0)


def enabled(name: str) -> bool:
    """Return True if a step is to use its CUDA filter on this machine."""
    return name in SAME_PICTURE and available()


def median(pixels: ImageU8, side: int) -> ImageU8:
    """Return the median of `side` x `side` values, channel by channel, as `cv2.medianBlur` does."""
    kernel = _FILTERS.createMedianFilter(cv2.CV_8UC1, side)
    planes = [kernel.apply(_FILTERS.GpuMat(plane)).download() for plane in cv2.split(pixels)]
    return np.asarray(cv2.merge(planes), np.uint8)


def bilateral(pixels: ImageU8, side: int, colour: float, space: float) -> ImageU8:
    """Smooth without crossing edges, as `cv2.bilateralFilter` does."""
    return np.asarray(
        _FILTERS.bilateralFilter(_FILTERS.GpuMat(pixels), side, colour, space).download(), np.uint8
    )


def nlm(bgr: ImageU8, strength: float, patch: int, search: int) -> ImageU8:
    """Average pixels with like surroundings, as `cv2.fastNlMeansDenoisingColored` does; BGR in and out."""
    found = _FILTERS.fastNlMeansDenoisingColored(
        _FILTERS.GpuMat(bgr), strength, strength, None, search, patch
    )
    return np.asarray(found.download(), np.uint8)


def clahe(lightness: ImageU8, clip_limit: float, grid: tuple[int, int]) -> ImageU8:
    """Equalise a plane (h, w) uint8 in tiles, as `cv2.createCLAHE` does."""
    found = _FILTERS.createCLAHE(clip_limit, grid).apply(_FILTERS.GpuMat(lightness), _FILTERS.Stream_Null())
    return np.asarray(found.download(), np.uint8)
