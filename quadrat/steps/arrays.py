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
_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""Linear light in 0..1 of each sRGB value (IEC 61966-2-1)."""
_LIGHT = np.arange(65536) / 65535
_ENCODED = np.rint(
    255 * np.where(_LIGHT <= 0.0031308, _LIGHT * 12.92, 1.055 * _LIGHT ** (1 / 2.4) - 0.055)
).astype(np.uint8)
"""The sRGB value of linear light in 65,536 steps, which are at most 0.05 of a value apart."""
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


def to_lab(pixels: ImageU8) -> NDArray[np.float32]:
    """Convert sRGB pixels (h, w, 3) uint8 to CIE Lab (D65), (h, w, 3) float32, within 0.04 of the exact values.

    OpenCV's own conversion from sRGB interpolates in a table, and is off by up to 0.4.
    """
    return np.asarray(cv2.cvtColor(cv2.LUT(pixels, _LINEAR), cv2.COLOR_LRGB2LAB), np.float32)


def from_lab(lab: NDArray[np.float32]) -> ImageU8:
    """Convert CIE Lab (D65) float32 to sRGB pixels uint8, rounded; colours that sRGB does not have are clipped."""
    linear = cv2.cvtColor(lab, cv2.COLOR_LAB2LRGB)
    light = (linear * np.float32(65535) + np.float32(0.5)).astype(np.uint16)
    return np.asarray(_ENCODED.take(light), np.uint8)
