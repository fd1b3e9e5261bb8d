"""Estimate the noise of a picture from the picture alone."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.types import ImageU8

_ROOT = 3**0.5
_HIGH_PASS = np.array([_ROOT - 1, 3 - _ROOT, -3 - _ROOT, 1 + _ROOT]) / (4 * 2**0.5)
"""The high-pass of Daubechies' wavelet with two vanishing moments (db2), of length 1."""
_NORMAL_MEDIAN = 0.6744897501960817
"""The median of the absolute value of a standard normal variable."""
SAMPLE_PIXELS = 1_000_000
_STRIP_ROWS = 64
_LEAST_SIDE = 8
_LEAST_DETAIL = 1e-3
"""A smaller detail is 0 but for rounding: the smallest that whole levels can give is about 1/60."""


def estimate_noise(pixels: ImageU8) -> float:
    """Return the standard deviation of a picture's noise, in levels of 0..255: the mean over its channels.

    `pixels` (h, w, 3) uint8 RGB. It is the median of the absolute diagonal details of one level of the wavelet db2,
    without those that are 0, over that of a standard normal variable. scikit-image's `estimate_sigma` differs only in
    that flat areas, such as clipped ones, count there, so that it can find less. A picture of more than a megapixel is
    sampled in strips of 64 rows. Fine texture counts as noise, and noise that JPEG or a camera smoothed does not. A
    picture with a side under 8 pixels has noise 0. Source: Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage,
    Biometrika 1994.
    """
    if min(pixels.shape[:2]) < _LEAST_SIDE:
        return 0.0
    details = np.concatenate([np.abs(_details(strip)).reshape(-1, 3) for strip in _strips(pixels)])
    return float(np.mean([_median(details[:, channel]) for channel in range(3)])) / _NORMAL_MEDIAN


def _strips(pixels: ImageU8) -> list[ImageU8]:
    """Return the picture, or strips of its rows at equal distances that have about SAMPLE_PIXELS."""
    height, width = pixels.shape[:2]
    count = max(1, SAMPLE_PIXELS // (width * _STRIP_ROWS))
    if count * _STRIP_ROWS >= height:
        return [pixels]
    tops = np.linspace(0, height - _STRIP_ROWS, count + 2).astype(int)[1:-1]
    return [pixels[top : top + _STRIP_ROWS] for top in tops]


def _details(pixels: ImageU8) -> NDArray[np.float32]:
    """Filter rows and columns with the high-pass at every second pixel; borders are mirrored."""
    padded = cv2.copyMakeBorder(pixels, 2, 3, 2, 3, cv2.BORDER_REFLECT)
    taps = _HIGH_PASS.astype(np.float32)
    height, width = ((side + 3) // 2 for side in pixels.shape[:2])
    rows = sum(tap * padded[index : index + 2 * height : 2] for index, tap in enumerate(taps))
    return np.asarray(
        sum(tap * rows[:, index : index + 2 * width : 2] for index, tap in enumerate(taps)), np.float32
    )


def _median(values: NDArray[np.float32]) -> float:
    found = values[values > _LEAST_DETAIL]
    return float(np.median(found)) if found.size else 0.0
