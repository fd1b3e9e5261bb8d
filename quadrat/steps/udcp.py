"""The colour step `udcp`: remove the veil of the water with the dark channel of green and blue."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.steps.arrays import bands, pixel_scale
from quadrat.steps.step import Step
from quadrat.types import ImageU8

PATCH = 15
"""Side in pixels, in a picture of one megapixel, of the neighbourhood whose darkest value counts."""
KEPT_VEIL = 0.05
"""The share of the veil that stays (1 - omega): without any, distance is no longer visible."""
LEAST_TRANSMISSION = 0.1
BRIGHTEST = 0.001
"""The share of pixels with the thickest veil, whose mean colour is the colour of the water."""
GUIDE_RADIUS, GUIDE_EPSILON = 60, 1e-3
"""The guided filter: radius in pixels, in a picture of one megapixel, and epsilon for values in 0..1."""


def remove_veil(pixels: ImageU8) -> ImageU8:
    """Estimate how much of each pixel is the water's own light, from green and blue, and subtract it.

    Source: Drews, Nascimento, Botelho and Campos, Underwater depth estimation and image restoration based on single
    images, IEEE Computer Graphics and Applications 2016, with a guided filter (He, Sun and Tang, Guided image
    filtering, IEEE Transactions on Pattern Analysis and Machine Intelligence 2013) for the transmission. It often leaves a picture darker and greener than it was.
    """
    water = _water(pixels)
    veil = _dark_channel(pixels, water)
    rough = 1 - (1 - KEPT_VEIL) / 255 * veil.astype(np.float32)
    guide = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    transmission = np.clip(guided_filter(guide, rough, pixel_scale(pixels)), LEAST_TRANSMISSION, 1)
    restored = np.empty_like(pixels)
    for part in bands(pixels):
        scene = cv2.subtract(pixels[part], (*water, 0.0), dtype=cv2.CV_32F)
        scene = cv2.divide(scene, cv2.merge([transmission[part]] * 3))
        restored[part] = cv2.add(scene, (*water, 0.0), dtype=cv2.CV_8U)
    return restored


def _water(pixels: ImageU8) -> NDArray[np.float64]:
    """Return the mean colour (3,) of the pixels in which green and blue are brightest throughout their patch."""
    veil = _dark_channel(pixels, np.full(3, 255.0))
    counts = np.cumsum(np.bincount(veil.ravel(), minlength=256)[::-1])
    least = 255 - int(np.searchsorted(counts, max(1, BRIGHTEST * veil.size)))
    mask = np.where(veil >= least, np.uint8(255), np.uint8(0))
    return np.maximum(cv2.mean(pixels, mask)[:3], 1.0)


def _dark_channel(pixels: ImageU8, water: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the minimum (h, w) uint8 of green and blue over the colour of the water, in each pixel's patch."""
    tables = np.rint(np.minimum(np.arange(256)[:, None] * 255 / water, 255)).astype(np.uint8)
    green, blue = (cv2.LUT(cv2.extractChannel(pixels, i), tables[:, i].copy()) for i in (1, 2))
    side = 2 * round(PATCH / 2 * pixel_scale(pixels)) + 1
    return np.asarray(cv2.erode(cv2.min(green, blue), np.ones((side, side), np.uint8)), np.uint8)


def guided_filter(guide: NDArray[np.uint8], values: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Smooth `values` (h, w) float32 along the edges of `guide` (h, w) uint8; `scale` multiplies the radius."""
    window = (2 * max(1, round(GUIDE_RADIUS * scale)) + 1,) * 2

    def mean(array: Any) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(array, window), np.float32)

    light = guide.astype(np.float32) / 255
    light_mean, value_mean = mean(light), mean(values)
    variance = mean(light * light) - light_mean * light_mean
    slope = (mean(light * values) - light_mean * value_mean) / (np.maximum(variance, 0) + GUIDE_EPSILON)
    offset = value_mean - slope * light_mean
    return np.asarray(mean(slope) * light + mean(offset), np.float32)


UDCP = Step("udcp", "colour", None, remove_veil)
