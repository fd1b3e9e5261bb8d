"""Descriptors of a picture, to compare it before and after enhancement.

They describe; they do not choose. UCIQE and UIQM were fitted to the opinions of viewers of underwater photographs, rise
with contrast and colour even where a picture looks worse, and do not predict how well a network measures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.media.facts import picture_facts
from quadrat.steps.arrays import to_lab
from quadrat.steps.noise import estimate_noise
from quadrat.types import ImageU8

UCIQE_WEIGHTS = (0.4680, 0.2745, 0.2576)
"""Of the deviation of chroma, the contrast of lightness, and the mean saturation."""
UIQM_WEIGHTS = (0.0282, 0.2953, 3.5753)
"""Of colourfulness (UICM), sharpness (UISM) and contrast (UIConM)."""
UICM_WEIGHTS = (-0.0268, 0.1586)
LUMA = (0.299, 0.587, 0.114)
TRIMMED = 0.1
"""The share of pixels that UICM leaves out at each end."""
BLOCK = 10
"""Side in pixels of the blocks of UISM and UIConM."""
MAX_PIXELS = 1_000_000
"""Descriptors other than noise are those of the picture shrunk to at most this many pixels by area averaging."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Descriptors of one picture: `mean_rgb` in 0..255, `noise` in levels of 0..255, the others without a unit."""

    uciqe: float
    uiqm: float
    sharpness: float
    noise: float
    mean_rgb: tuple[float, float, float]


def describe(pixels: ImageU8) -> Descriptors:
    """Return the descriptors of a picture (h, w, 3) uint8 RGB.

    Noise is that of the picture as given (see `estimate_noise`); the others are those of the picture shrunk to a
    megapixel, so that they hardly depend on its size. Sharpness is that of images.csv: the variance of the Laplacian
    over that of the grey picture.
    """
    pixels = np.ascontiguousarray(pixels)
    small = _shrunk(pixels)
    red, green, blue = cv2.mean(pixels)[:3]
    return Descriptors(
        uciqe=uciqe(small),
        uiqm=uiqm(small),
        sharpness=picture_facts(small).sharpness,
        noise=estimate_noise(pixels),
        mean_rgb=(red, green, blue),
    )


def uciqe(pixels: ImageU8) -> float:
    """Return the underwater colour image quality evaluation of a picture (h, w, 3) uint8 RGB.

    It is 0.4680 s + 0.2745 c + 0.2576 m in CIE Lab (D65): with l = L / 100 and chroma = sqrt(a^2 + b^2) / 100, s is
    the standard deviation of chroma, c the difference of the percentiles 99 and 1 of l, and m the mean of the
    saturation chroma / sqrt(chroma^2 + l^2), which is 0 for black. Many public copies differ, because they take a and
    b with the offset of their 8-bit form, or divide by 255. Source: Yang and Sowmya, An underwater color image
    quality evaluation metric, IEEE Transactions on Image Processing 2015.
    """
    light, red_green, yellow_blue = cv2.split(to_lab(pixels) * np.float32(0.01))
    chroma = cv2.magnitude(red_green, yellow_blue)
    radius = cv2.magnitude(chroma, light)
    saturation = np.divide(chroma, radius, out=np.zeros_like(chroma), where=radius > 0)
    low, high = np.percentile(light, (1, 99))
    terms = float(chroma.std(dtype=np.float64)), float(high - low), float(saturation.mean(dtype=np.float64))
    return sum(weight * term for weight, term in zip(UCIQE_WEIGHTS, terms, strict=True))


def uiqm(pixels: ImageU8) -> float:
    """Return the underwater image quality measure of a picture: 0.0282 UICM + 0.2953 UISM + 3.5753 UIConM.

    Source: Panetta, Gao and Agaian, Human-visual-system-inspired underwater image quality measures, IEEE Journal of
    Oceanic Engineering 2016; see `uicm`, `uism` and `uiconm` for what is left open there.
    """
    terms = uicm(pixels), uism(pixels), uiconm(pixels)
    return sum(weight * term for weight, term in zip(UIQM_WEIGHTS, terms, strict=True))


def uicm(pixels: ImageU8) -> float:
    """Return the colourfulness: -0.0268 sqrt(m1^2 + m2^2) + 0.1586 sqrt(v1 + v2) of RG = R - G and YB = (R + G) / 2 - B.

    m is the mean without the ceil(0.1 n) least and the floor(0.1 n) greatest values (of all if none is left), and v
    the mean over all n values of the squared distance from m. Values are 0..255.
    """
    red, green, blue = (channel.astype(np.int16) for channel in cv2.split(pixels))
    opponents = _trimmed(red - green, 1.0), _trimmed(red + green - 2 * blue, 0.5)
    means = math.hypot(*(mean for mean, _ in opponents))
    deviations = math.sqrt(sum(variance for _, variance in opponents))
    return UICM_WEIGHTS[0] * means + UICM_WEIGHTS[1] * deviations


def uism(pixels: ImageU8) -> float:
    """Return the sharpness: the EME of each channel times its Sobel magnitude, weighted 0.299, 0.587, 0.114.

    EME is the mean over blocks of 10x10 pixels of 2 ln(max / min); a block whose least value is 0 counts as 0. Pixels
    of incomplete blocks at the lower and right border are left out; a smaller picture is one block. The product is
    not rounded, and outside the picture its border pixels are repeated.
    """
    total = 0.0
    for weight, channel in zip(LUMA, cv2.split(pixels), strict=True):
        slopes = [
            cv2.Sobel(channel, cv2.CV_32F, dx, 1 - dx, borderType=cv2.BORDER_REPLICATE) for dx in (1, 0)
        ]
        least, greatest = _block_ranges(cv2.multiply(cv2.magnitude(*slopes), channel, dtype=cv2.CV_32F))
        ratio = np.divide(greatest, least, out=np.ones_like(least), where=least > 0)
        total += weight * 2 * float(np.log(ratio.astype(np.float64)).mean())
    return total


def uiconm(pixels: ImageU8) -> float:
    """Return the contrast: the mean over blocks of -m ln(m), with m = (max - min) / (max + min) of R + G + B.

    Blocks are those of `uism`; one without contrast counts as 0. Sums and differences are the ordinary ones, as in most
    implementations, not those of the logarithmic model (PLIP) that the paper prefers.
    """
    intensity = cv2.transform(pixels.astype(np.uint16), np.ones((1, 3), np.float32))
    least, greatest = (values.astype(np.float64) for values in _block_ranges(intensity))
    contrast = np.divide(greatest - least, greatest + least, out=np.ones_like(least), where=greatest > least)
    return 0.0 - float((contrast * np.log(contrast)).mean())


def _shrunk(pixels: ImageU8) -> ImageU8:
    height, width = pixels.shape[:2]
    scale = math.sqrt(MAX_PIXELS / (height * width))
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _trimmed(values: NDArray[np.int16], unit: float) -> tuple[float, float]:
    """Return the trimmed mean of whole numbers times `unit`, and the mean squared distance of all values from it."""
    least = int(values.min())
    counts = np.bincount((values.astype(np.int32) - least).ravel())
    levels = (np.arange(len(counts)) + least) * unit
    ends = np.cumsum(counts)
    first, last = math.ceil(TRIMMED * values.size), values.size - math.floor(TRIMMED * values.size)
    kept: NDArray[Any] = np.diff(np.clip(ends, first, last), prepend=first) if first < last else counts
    mean = float(levels @ kept / kept.sum())
    return mean, float((levels - mean) ** 2 @ counts / values.size)


def _block_ranges(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the least and the greatest value of each block, (rows, columns) each."""
    height, width = values.shape
    tall, wide = min(BLOCK, height), min(BLOCK, width)
    rows, columns = height // tall, width // wide
    bands = values[: rows * tall, : columns * wide].reshape(rows, tall, columns * wide)
    least = bands.min(axis=1).reshape(rows, columns, wide).min(axis=2)
    return least, bands.max(axis=1).reshape(rows, columns, wide).max(axis=2)
