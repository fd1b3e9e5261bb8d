"""The colour step `msrcr`: the multi-scale retinex with colour restoration."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.steps.arrays import bands, pixel_scale
from quadrat.steps.step import Step
from quadrat.types import ImageU8

SIGMAS = (15.0, 80.0, 250.0)
"""Deviations in pixels, in a picture of one megapixel, of the blurs that stand for the illumination."""
ALPHA = 125.0
"""The strength of the colour restoration."""
TAILS = (1.0, 99.0)
"""Percentiles of each channel that become 0 and 255."""
BLUR_SIGMA = 4.0
"""A picture is shrunk by a power of two before a blur as long as the blur still has at least this deviation."""
LEAST_RANGE = 1e-3
"""A channel in which the percentiles are nearer to each other has no contrast."""
_SAMPLE = 1 << 18


def retinex(pixels: ImageU8) -> ImageU8:
    """Subtract the logarithm of the illumination at three scales, restore colour, and stretch each channel.

    Source: Jobson, Rahman and Woodell, A multiscale retinex for bridging the gap between color images and the human
    observation of scenes, IEEE Transactions on Image Processing 1997, with alpha 125; the gain and offset are replaced
    by a stretch of percentiles 1 to 99, as in Petro, Sbert and Morel, Multiscale retinex, IPOL 2014. The blurs are
    computed on shrunk pictures, and percentiles on a regular sample of about 260,000 pixels. Where a channel is darker
    than its illumination, the restoration is that of grey: as published, the product of two negative numbers would
    make the darkest channel of a saturated colour bright, and a blue thing purple.
    """
    grey = float(np.log(ALPHA / 3))
    logs = np.log(np.arange(256, dtype=np.float32) + 1)
    values = _illumination(pixels)
    for part in bands(pixels):
        given = cv2.LUT(pixels[part], logs)
        mean = cv2.transform(pixels[part], np.ones((1, 3), np.float32) / 3)
        restoration = cv2.subtract(given, cv2.merge([cv2.LUT(mean, logs - grey)] * 3))
        reflectance = cv2.subtract(given, values[part])
        np.maximum(restoration, 0, out=restoration)
        restoration[reflectance < 0] = grey
        cv2.multiply(reflectance, restoration, values[part])
    return _stretched(values, pixels)


def _illumination(pixels: ImageU8) -> NDArray[np.float32]:
    """Return the mean over the scales of the logarithm of the blurred picture plus 1, (h, w, 3) float32."""
    scale = pixel_scale(pixels)
    level, size = pixels.astype(np.float32), pixels.shape[1::-1]
    sizes, found = [size], []
    sigma_left = 1.0
    for sigma in sorted(SIGMAS):
        while sigma * scale / sigma_left >= 2 * BLUR_SIGMA and min(sizes[-1]) > 1:
            sizes.append((max(1, sizes[-1][0] // 2), max(1, sizes[-1][1] // 2)))
            level = cv2.resize(level, sizes[-1], interpolation=cv2.INTER_AREA)
            sigma_left *= 2
        blurred = cv2.GaussianBlur(level, (0, 0), max(0.3, sigma * scale / sigma_left))
        found.append(np.log(blurred + 1))
    mean = found.pop()
    while found:
        below = found.pop()
        mean = below + cv2.resize(mean, below.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    mean = mean / len(SIGMAS)
    return np.asarray(cv2.resize(mean, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _stretched(values: NDArray[np.float32], pixels: ImageU8) -> ImageU8:
    """Stretch each channel to 0..255; one without contrast, whose values are only rounding, stays that of `pixels`."""
    step = max(1, int((values.shape[0] * values.shape[1] / _SAMPLE) ** 0.5))
    low, high = np.percentile(values[::step, ::step].reshape(-1, 3), TAILS, axis=0)
    flat = np.flatnonzero(high - low < LEAST_RANGE)
    gain = 255 / np.maximum(high - low, LEAST_RANGE)
    found = np.empty(values.shape, np.uint8)
    for part in bands(found):
        shifted = cv2.subtract(values[part], (*low, 0.0))
        found[part] = cv2.multiply(shifted, (*gain, 0.0), dtype=cv2.CV_8U)
    found[..., flat] = pixels[..., flat]
    return found


MSRCR = Step("msrcr", "colour", None, retinex)
