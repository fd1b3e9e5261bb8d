"""Colour steps that balance the whole picture: they make a mean colour grey, or give back the red that water absorbs."""

from __future__ import annotations

import cv2
import numpy as np

from quadrat.steps.arrays import MAX_GAIN, bands, from_lab, histograms, look_up, neutral_gains, scale, to_lab
from quadrat.steps.step import Step
from quadrat.types import ImageU8

MINKOWSKI = 6
"""The exponent of shades of grey; 1 is grey world, infinity makes the brightest values white."""


def grey_world(pixels: ImageU8) -> ImageU8:
    """Multiply each channel so that the mean colour is grey, by at most MAX_GAIN.

    Source: Buchsbaum, A spatial processor model for object colour perception, Journal of the Franklin Institute 1980.
    """
    return scale(pixels, neutral_gains(np.array(cv2.mean(pixels)[:3])))


def shades_of_grey(pixels: ImageU8) -> ImageU8:
    """Multiply each channel so that the means of the sixth powers are equal, by at most MAX_GAIN.

    Bright areas count more than in grey world. Source: Finlayson and Trezzi, Shades of gray and colour constancy,
    Color Imaging Conference 2004.
    """
    counts = histograms(pixels)
    powers = counts @ (np.arange(256) / 255.0) ** MINKOWSKI / counts[0].sum()
    return scale(pixels, neutral_gains(powers ** (1 / MINKOWSKI)))


def lab_grey_world(pixels: ImageU8) -> ImageU8:
    """Shift a and b of CIE Lab (D65) so that their means are 0; the lightness stays, as far as sRGB can show it.

    It changes dark areas less than grey world, and keeps highlights. Source: Bianco, Muzzupappa, Bruno, Garcia and
    Neumann, A new color correction method for underwater imaging, ISPRS Archives 2015, with CIE Lab for l-alpha-beta.
    """
    total = np.zeros(4)
    for part in bands(pixels):
        total += cv2.sumElems(to_lab(pixels[part]))
    mean = total / (pixels.shape[0] * pixels.shape[1])
    balanced = np.empty_like(pixels)
    for part in bands(pixels):
        balanced[part] = from_lab(cv2.subtract(to_lab(pixels[part]), (0.0, mean[1], mean[2], 0.0)))
    return balanced


def red_compensation(pixels: ImageU8) -> ImageU8:
    """Add to red a part of green where red is missing, then make the mean colour grey as grey world does.

    With values in 0..1, red becomes r + (mean g - mean r) (1 - r) g; it stays if its mean is not below that of green.
    Source: Ancuti, Ancuti, De Vleeschouwer and Bekaert, Color balance and fusion for underwater image enhancement,
    IEEE Transactions on Image Processing 2018, equation 4 with alpha 1, in one step without rounding in between.
    """
    red, green = cv2.extractChannel(pixels, 0), cv2.extractChannel(pixels, 1)
    means = np.array(cv2.mean(pixels)[:3]) / 255
    missing = max(0.0, means[1] - means[0])
    product = cv2.mean(cv2.multiply(red, green, dtype=cv2.CV_16U))[0] / 255**2
    means[0] += missing * (means[1] - product)
    gains = np.minimum(neutral_gains(means), MAX_GAIN)
    added = cv2.multiply(cv2.bitwise_not(red), green, scale=missing * gains[0] / 255, dtype=cv2.CV_32F)
    red = cv2.scaleAdd(red.astype(np.float32), gains[0], added)
    table = np.arange(256.0)[:, None] * gains
    balanced = look_up(pixels, table)
    cv2.insertChannel(cv2.convertScaleAbs(red), balanced, 0)
    return balanced


GREY_WORLD = Step("grey-world", "colour", None, grey_world)
SHADES_OF_GREY = Step("shades-of-grey", "colour", None, shades_of_grey)
LAB_GREY_WORLD = Step("lab-grey-world", "colour", None, lab_grey_world)
RED_COMPENSATION = Step("red-compensation", "colour", None, red_compensation)
