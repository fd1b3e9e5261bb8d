"""Denoise steps: a median, a bilateral filter, and non-local means as strong as the noise."""

from __future__ import annotations

import cv2
import numpy as np

from quadrat.steps import cuda
from quadrat.steps.noise import estimate_noise
from quadrat.steps.step import Step
from quadrat.types import ImageU8

MEDIAN_SIDE = 5
BILATERAL_SIDE, BILATERAL_COLOUR, BILATERAL_SPACE = 9, 25.0, 3.0
"""Pixels along a side, and the deviations of the weights in levels of 0..255 and in pixels."""
NLM_PATCH, NLM_SEARCH = 7, 21
"""Sides in pixels of the patches that are compared, and of the area in which they are searched."""
NLM_STRENGTH = 0.6
"""The filter parameter h over the noise: on photographs with noise added, the best lies between 0.5 and 0.9."""
NLM_LEAST_NOISE = 2.0
"""A picture with less noise, in levels of 0..255, is not denoised by `nlm`: it would lose more detail than noise."""


def median(pixels: ImageU8) -> ImageU8:
    """Replace each value by the median of the 5x5 values around it, per channel: removes single specks."""
    if cuda.enabled("median"):
        return cuda.median(pixels, MEDIAN_SIDE)
    return np.asarray(cv2.medianBlur(pixels, MEDIAN_SIDE), np.uint8)


def bilateral(pixels: ImageU8) -> ImageU8:
    """Average each pixel with those near it in place and in colour, in 9x9 pixels: smooths without crossing edges.

    Source: Tomasi and Manduchi, Bilateral filtering for gray and color images, ICCV 1998, as OpenCV has it, with
    deviations of 25 levels and 3 pixels.
    """
    if cuda.enabled("bilateral"):
        return cuda.bilateral(pixels, BILATERAL_SIDE, BILATERAL_COLOUR, BILATERAL_SPACE)
    return np.asarray(
        cv2.bilateralFilter(pixels, BILATERAL_SIDE, BILATERAL_COLOUR, BILATERAL_SPACE), np.uint8
    )


def nlm(pixels: ImageU8) -> ImageU8:
    """Average each pixel with those whose surroundings look alike; the more noise, the stronger.

    The strength h is 0.6 times the estimated noise, for lightness and colour. With noise under 2 levels the picture
    is returned as it is. Source: Buades, Coll and Morel, Non-local means denoising, IPOL 2011, as OpenCV has it for
    colour, with patches of 7x7 in 21x21 pixels. It takes seconds for a megapixel.
    """
    noise = estimate_noise(pixels)
    if noise < NLM_LEAST_NOISE:
        return pixels.copy()
    strength = NLM_STRENGTH * noise
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    if cuda.enabled("nlm"):
        bgr = cuda.nlm(bgr, strength, NLM_PATCH, NLM_SEARCH)
    else:
        cv2.fastNlMeansDenoisingColored(bgr, bgr, strength, strength, NLM_PATCH, NLM_SEARCH)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


MEDIAN = Step("median", "denoise", MEDIAN_SIDE // 2, median)
BILATERAL = Step("bilateral", "denoise", BILATERAL_SIDE // 2, bilateral)
NLM = Step("nlm", "denoise", None, nlm)
