"""The colour step `fusion`: balance the colours, then fuse a darker and a sharper version of the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.steps.arrays import bands, pixel_scale
from quadrat.steps.colour import red_compensation
from quadrat.steps.step import Step
from quadrat.types import ImageU8

GAMMA = 1.5
"""The exponent of the darker version: it separates the tones of a bright veil."""
SHARPEN_SIGMA = 4.0
"""Deviation in pixels, in a picture of one megapixel, of the blur that sharpening subtracts."""
LEAST_WEIGHT = 0.1
"""Added to each weight before they are normalised, so that each version counts everywhere (delta in the paper)."""
COARSEST = 8
"""The shorter side of the coarsest level of the pyramids has at least this many pixels."""


def fuse(pixels: ImageU8) -> ImageU8:
    """Compensate red and balance the colours, then fuse a gamma-corrected and a sharpened version in a pyramid.

    The weights of each version are the sum of its local contrast, its saliency and its saturation. Source: Ancuti,
    Ancuti, De Vleeschouwer and Bekaert, Color balance and fusion for underwater image enhancement, IEEE Transactions
    on Image Processing 2018, with a gamma of 1.5 and plain unsharp masking in place of its normalised form, which
    greys the picture. As both weights sum to 1 and pyramids are linear, one pyramid of the difference of the versions
    replaces those of both.
    """
    balanced = red_compensation(pixels)
    dark = _darker(balanced)
    sharp = _sharper(balanced)
    share = _weight(dark)
    share /= share + _weight(sharp)
    difference = cv2.subtract(dark, sharp, dtype=cv2.CV_32F)
    return np.asarray(cv2.add(sharp, _fused(difference, share), dtype=cv2.CV_8U), np.uint8)


def _darker(pixels: ImageU8) -> NDArray[np.uint8]:
    table = np.rint(255 * (np.arange(256) / 255) ** GAMMA).astype(np.uint8)
    return np.asarray(cv2.LUT(pixels, table), np.uint8)


def _sharper(pixels: ImageU8) -> NDArray[np.uint8]:
    sigma = SHARPEN_SIGMA * pixel_scale(pixels)
    blurred = cv2.GaussianBlur(pixels, (0, 0), max(sigma, 0.5))
    return np.asarray(cv2.addWeighted(pixels, 2, blurred, -1, 0), np.uint8)


def _weight(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the weight (h, w) float32 of a version: contrast + saliency + saturation + LEAST_WEIGHT."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    contrast = cv2.Laplacian(grey, cv2.CV_16S)
    blurred = cv2.GaussianBlur(pixels, (5, 5), 0)
    mean = cv2.mean(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB))
    weight = np.empty(grey.shape, np.float32)
    for part in bands(pixels):
        away = cv2.subtract(cv2.cvtColor(blurred[part], cv2.COLOR_RGB2LAB), mean, dtype=cv2.CV_32F)
        saliency = np.sqrt(np.einsum("ijk,ijk->ij", away, away))
        tint = cv2.subtract(pixels[part], cv2.merge([grey[part]] * 3), dtype=cv2.CV_32F)
        saturation = np.sqrt(np.einsum("ijk,ijk->ij", tint, tint) / 3)
        weight[part] = (np.abs(contrast[part]) + saliency + saturation) / 255 + LEAST_WEIGHT
    return weight


def _fused(difference: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn `difference` into the picture whose Laplacian pyramid is its own times the Gaussian pyramid of `share`."""
    size = share.shape[1::-1]
    if min(size) >= 2 * COARSEST:
        coarse = cv2.pyrDown(difference)
        cv2.subtract(difference, cv2.pyrUp(coarse, dstsize=size), difference)
        below = _fused(coarse, cv2.pyrDown(share))
        difference *= share[..., None]
        return np.asarray(cv2.add(difference, cv2.pyrUp(below, dstsize=size), difference), np.float32)
    return difference * share[..., None]


FUSION = Step("fusion", "colour", None, fuse)
