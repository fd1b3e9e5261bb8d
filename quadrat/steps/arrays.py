"""Operations on pixels that several steps share: histograms, tables, bands of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.types import ImageU8

MAX_GAIN = 8.0
"""No step multiplies a channel by more than this: what is left of a fainter channel is noise and JPEG blocks."""
_EXACT = 1 << 24
"""`cv2.calcHist` returns float32, which counts exactly up to here."""
_BAND_PIXELS = 1 << 15
"""Pixels of a band: its float32 copies stay in a core's cache."""


def histograms(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the histogram of each channel: (channels, 256) counts of pixels (h, w, channels) uint8."""
    channels = pixels.shape[2]
    counts = np.zeros((channels, 256), np.int64)
    rows = max(1, _EXACT // max(1, pixels.shape[1]))
    for top in range(0, pixels.shape[0], rows):
        band = [pixels[top : top + rows]]
        for channel in range(channels):
            found = cv2.calcHist(band, [channel], None, [256], [0, 256])
            counts[channel] += np.rint(found.ravel()).astype(np.int64)
    return counts


def scale(pixels: ImageU8, gains: NDArray[np.float64]) -> ImageU8:
    """Multiply each channel by its gain, at most MAX_GAIN, rounded and clipped to 0..255."""
    return look_up(pixels, np.arange(256.0)[:, None] * np.minimum(gains, MAX_GAIN))


def look_up(pixels: ImageU8, table: NDArray[np.float64]) -> ImageU8:
    """Replace each value by that of `table` (256, 3), one column per channel, rounded and clipped to 0..255."""
    rounded = np.clip(np.rint(table), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(pixels, rounded.reshape(1, 256, 3)), np.uint8)


def neutral_gains(illuminant: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the gains (3,) that make the colour `illuminant` (3,) grey of its mean; 1 for a channel that is 0."""
    gains = np.ones(3)
    np.divide(illuminant.mean(), illuminant, out=gains, where=illuminant > 0)
    return gains


def bands(pixels: NDArray[np.uint8]) -> Iterator[slice]:
    """Yield slices of rows that together are the picture, each small enough for a core's cache."""
    height, width = pixels.shape[:2]
    rows = max(1, _BAND_PIXELS // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def pixel_scale(pixels: NDArray[np.uint8]) -> float:
    """Return the side of the picture's square, relative to one megapixel: lengths in pixels are given for that size."""
    return math.sqrt(pixels.shape[0] * pixels.shape[1] / 1e6)
