"""Cheap facts about a picture, and the flags that they give.

All facts are of the whole upright picture as it is stored, before `max-img-size`, so they depend on neither settings
nor model.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.facts import PictureFacts, SampleDepth
from quadrat.geometry import HW
from quadrat.media.depth import VALUES
from quadrat.media.exif import upright
from quadrat.types import ImageU8

DARK_BRIGHTNESS = 0.15
"""A picture of less mean brightness is `dark`."""
FLAT_CONTRAST = 0.02
"""A picture of less contrast is `flat`: fog, a lens cap, a blank page."""
BLURRED_SHARPNESS = 0.015
"""A picture of less sharpness is `blurred`, unless it is flat: without contrast there is no sharpness to measure."""
SMALL_PIXELS = 65_536
"""A picture of fewer pixels (256 x 256) is `small`, as a thumbnail is."""
DUPLICATE_BITS = 12
"""Two pictures whose hashes differ in at most this many of 256 bits are duplicates."""
FLAGS = ("dark", "flat", "blurred", "small", "depth", "duplicate")
"""All flags, in the order in which they are listed."""

FACT_PIXELS = 1_000_000
"""Larger pictures are shrunk to this many pixels by area averaging: a blur that vanishes there does no harm."""
CLIPPED_PIXELS = 1 << 18
"""Clipped pixels are counted in a regular sample of about this many, because averages are no longer clipped."""
_ROUNDING = 20 / 12
"""Variance that rounding to whole grey levels gives the Laplacian: 20, the sum of its squared weights, over 12."""
_HASH_SIDE, _HASHED = 64, 16
_LUMA_PIXELS = 16_000_000
"""Up to this size, computing the luma before shrinking takes half the time; above, it would take much memory."""


def picture_facts(pixels: ImageU8, turn: int = 1) -> PictureFacts:
    """Return the facts about a picture (h, w, 3) uint8 RGB, stored with the EXIF orientation `turn`."""
    height, width = pixels.shape[:2]
    grey = upright(_grey(pixels)[..., None], turn)[..., 0]
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    step = max(1, math.isqrt(height * width // CLIPPED_PIXELS))
    sample = np.ascontiguousarray(pixels[::step, ::step])
    red, green, blue = np.moveaxis((sample == 0) | (sample == 255), 2, 0)
    clipped = red | green | blue
    return PictureFacts(
        brightness=round(mean / 255, 4),
        contrast=round(deviation / 255, 4),
        sharpness=round(_sharpness(grey, deviation), 4),
        clipped=round(float(clipped.mean()), 4),
        hash=_hash(grey),
    )


def flags_of(facts: PictureFacts | None, source_hw: HW, depth: SampleDepth | None = None) -> tuple[str, ...]:
    """Return the flags of one picture alone; whether it is a duplicate depends on others.

    `source_hw` is the (height, width) of the upright picture as stored. Without facts there are no flags. The flag
    `depth` means that the number of significant bits was taken from the values of the picture, as nothing states it.
    """
    if facts is None:
        return ()
    flat = facts.contrast < FLAT_CONTRAST
    raised = {
        "dark": facts.brightness < DARK_BRIGHTNESS,
        "flat": flat,
        "blurred": not flat and facts.sharpness < BLURRED_SHARPNESS,
        "small": source_hw[0] * source_hw[1] < SMALL_PIXELS,
        "depth": depth is not None and depth.source == VALUES,
    }
    return tuple(flag for flag in FLAGS if raised.get(flag))


def _grey(pixels: ImageU8) -> NDArray[np.uint8]:
    """Return the luma (h, w) of a picture of at most about FACT_PIXELS."""
    height, width = pixels.shape[:2]
    if height * width > _LUMA_PIXELS:
        pixels = _shrunk(pixels)
    return _shrunk(np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), np.uint8))


def _shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink pixels (h, w) or (h, w, 3) to FACT_PIXELS, if there are more."""
    height, width = pixels.shape[:2]
    scale = math.sqrt(FACT_PIXELS / (height * width))
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _sharpness(grey: NDArray[np.uint8], deviation: float) -> float:
    """Compute the variance of the Laplacian, over that of the picture so that darkening does not change it.

    Source: Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000, for the variance of the
    Laplacian.
    """
    if deviation == 0:
        return 0.0
    variance = float(cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1][0, 0]) ** 2
    return max(0.0, variance - _ROUNDING) / deviation**2


def _hash(grey: NDArray[np.uint8]) -> str:
    """Compute the perceptual hash in hexadecimal: which of the 256 lowest frequencies are above their median.

    Copies that were scaled, compressed or brightened differ in a few bits. Source: pHash of C. Zauner,
    Implementation and benchmarking of perceptual image hash functions, 2010, with 256 instead of 64 bits.
    """
    small: Any = cv2.resize(grey, (_HASH_SIDE, _HASH_SIDE), interpolation=cv2.INTER_AREA)
    lowest = np.round(cv2.dct(small.astype(np.float32))[:_HASHED, :_HASHED].ravel())
    lowest[0] = 0  # the mean brightness
    return np.packbits(lowest > np.median(lowest)).tobytes().hex()
