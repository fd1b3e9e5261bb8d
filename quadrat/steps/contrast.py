"""Contrast steps: CLAHE on the lightness, and a stretch of each channel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.steps import cuda
from quadrat.steps.arrays import MAX_GAIN, bands, from_lab, histograms, look_up, to_lab
from quadrat.steps.step import Step
from quadrat.types import ImageU8

CLIP_LIMIT = 2.0
"""How many times the mean a bin of a tile's histogram may hold: the most by which CLAHE steepens the contrast."""
GRID = 8
"""Tiles of CLAHE along each side."""
MIN_TILE = 8
"""A tile of CLAHE has at least this many pixels along each side: with fewer, a histogram says nothing."""
TAILS = (0.5, 99.5)
"""The percentiles that the stretch makes black and white."""
_LEVELS = 255 / 100
"""Levels of the 8-bit lightness that is equalised, per unit of L."""


def clahe(pixels: ImageU8) -> ImageU8:
    """Equalise the lightness L of CIE Lab in tiles, with limited contrast; the colour a, b stays.

    Source: Zuiderveld, Contrast limited adaptive histogram equalization, Graphics Gems IV, 1994, as OpenCV has it,
    with clip limit 2 and 8x8 tiles, fewer in a picture under 64 pixels. Lightness is equalised in 256 levels, but the
    picture is never rounded to 8-bit Lab, which alone changes values by up to 25. A picture with a side under 8 pixels is
    returned as it is.
    """
    rows, columns = (min(GRID, side // MIN_TILE) for side in pixels.shape[:2])
    if not rows or not columns:
        return pixels.copy()
    before = np.empty(pixels.shape[:2], np.uint8)
    for part in bands(pixels):
        before[part] = cv2.extractChannel(cv2.cvtColor(pixels[part], cv2.COLOR_RGB2LAB), 0)
    if cuda.enabled("clahe"):
        after = cuda.clahe(before, CLIP_LIMIT, (columns, rows))
    else:
        after = np.asarray(cv2.createCLAHE(CLIP_LIMIT, (columns, rows)).apply(before), np.uint8)
    found = np.empty_like(pixels)
    for part in bands(pixels):
        lab = to_lab(pixels[part])
        gained = cv2.subtract(after[part], before[part], dtype=cv2.CV_32F)
        lightness = cv2.scaleAdd(gained, 1 / _LEVELS, cv2.extractChannel(lab, 0))
        cv2.insertChannel(lightness, lab, 0)
        found[part] = from_lab(lab)
    return found


def stretch(pixels: ImageU8) -> ImageU8:
    """Stretch each channel so that its percentiles 0.5 and 99.5 become 0 and 255.

    Percentiles are interpolated linearly, as `numpy.percentile` does. No channel is stretched by more than MAX_GAIN:
    one with a smaller range becomes a part of 0..255 that lies as the range lay. A channel of one value stays.
    """
    table = np.empty((256, 3))
    for channel, counts in enumerate(histograms(pixels)):
        low, high = (percentile(counts, tail) for tail in TAILS)
        gain = min(255 / (high - low), MAX_GAIN) if high > low else 1.0
        spare = 255 - (high - low) * gain
        offset = spare * low / (255 - (high - low)) if spare > 0 else 0.0
        table[:, channel] = (np.arange(256) - low) * gain + offset
    return look_up(pixels, table)


def percentile(counts: NDArray[np.int64], percent: float) -> float:
    """Return a percentile of the values that a histogram (256,) counts, interpolated linearly between two of them."""
    ends = np.cumsum(counts)
    place = (ends[-1] - 1) * percent / 100
    below = int(place)
    one, other = np.searchsorted(ends, (below, min(below + 1, ends[-1] - 1)), side="right")
    return float(one + (other - one) * (place - below))


CLAHE = Step("clahe", "contrast", None, clahe)
STRETCH = Step("stretch", "contrast", None, stretch)
