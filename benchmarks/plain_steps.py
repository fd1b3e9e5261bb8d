"""The enhancement steps as a reader of the papers writes them: plain calls of OpenCV, NumPy and scikit-image.

Each function takes and returns pixels (h, w, 3) uint8 RGB. They are what benchmarks/steps.py and the tests of the steps
compare with. Only the names with "skimage" need scikit-image.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def to_bytes(values: Any) -> Pixels:
    """Round and clip values of 0..255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def median(pixels: Pixels) -> Pixels:
    """OpenCV's median of 5x5."""
    return cv2.medianBlur(pixels, 5)


def bilateral(pixels: Pixels) -> Pixels:
    """OpenCV's bilateral filter."""
    return cv2.bilateralFilter(pixels, 9, 25, 3)


def nlm_skimage(pixels: Pixels) -> Pixels:
    """OpenCV's non-local means with scikit-image's estimate of the noise."""
    from skimage.restoration import estimate_sigma

    sigma = 0.6 * float(estimate_sigma(pixels.astype(np.float32), channel_axis=2, average_sigmas=True))
    bgr = cv2.fastNlMeansDenoisingColored(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), None, sigma, sigma, 7, 21)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def grey_world(pixels: Pixels) -> Pixels:
    """Gains from the means."""
    means = pixels.reshape(-1, 3).mean(axis=0)
    return to_bytes(pixels * (means.mean() / means))


def shades_of_grey(pixels: Pixels) -> Pixels:
    """Gains from the means of sixth powers."""
    norms = ((pixels / 255.0) ** 6).reshape(-1, 3).mean(axis=0) ** (1 / 6)
    return to_bytes(pixels * (norms.mean() / norms))


def lab_grey_world(pixels: Pixels) -> Pixels:
    """OpenCV's float Lab, moved to mean a = b = 0."""
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab[..., 1] -= lab[..., 1].mean(dtype=np.float64)
    lab[..., 2] -= lab[..., 2].mean(dtype=np.float64)
    return to_bytes(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255)


def lab_grey_world_skimage(pixels: Pixels) -> Pixels:
    """scikit-image's Lab, moved to mean a = b = 0."""
    from skimage.color import lab2rgb, rgb2lab

    lab = rgb2lab(pixels)
    lab[..., 1:] -= lab[..., 1:].mean(axis=(0, 1))
    return to_bytes(lab2rgb(lab) * 255)


def compensated(pixels: Pixels) -> Any:
    """Red compensation, in 0..1 and not rounded."""
    red, green, blue = np.moveaxis(pixels.astype(np.float32) / 255, 2, 0)
    missing = max(0.0, float(green.mean() - red.mean()))
    return np.stack([red + missing * (1 - red) * green, green, blue], axis=2)


def red_compensation(pixels: Pixels) -> Pixels:
    """Red compensation, then grey world."""
    values = compensated(pixels)
    means = values.reshape(-1, 3).mean(axis=0, dtype=np.float64)
    return to_bytes(255 * values * (means.mean() / means))


def fusion(pixels: Pixels) -> Pixels:
    """Two versions, three weights each, and a Laplacian pyramid of both."""
    balanced = red_compensation(pixels)
    scale = math.sqrt(pixels.shape[0] * pixels.shape[1] / 1e6)
    dark = to_bytes(255 * (balanced / 255.0) ** 1.5)
    sharp = to_bytes(2 * balanced.astype(np.float32) - cv2.GaussianBlur(balanced, (0, 0), 4 * scale))
    versions = [dark, sharp]
    weights = [_weight(version) for version in versions]
    weights = [weight / (weights[0] + weights[1]) for weight in weights]
    height, width = pixels.shape[:2]
    pyramids, levels = [], []
    while min(height, width) >= 16:
        levels.append((width, height))
        height, width = (height + 1) // 2, (width + 1) // 2
    for version, weight in zip(versions, weights, strict=True):
        level, share, pyramid = version.astype(np.float32), weight, []
        for size in levels:
            below = cv2.pyrDown(level)
            pyramid.append((level - cv2.pyrUp(below, dstsize=size)) * share[..., None])
            level, share = below, cv2.pyrDown(share)
        pyramids.append([*pyramid, level * share[..., None]])
    found = pyramids[0][-1] + pyramids[1][-1]
    for index in reversed(range(len(levels))):
        found = cv2.pyrUp(found, dstsize=levels[index]) + pyramids[0][index] + pyramids[1][index]
    return to_bytes(found)


def _weight(version: Pixels) -> Any:
    grey = cv2.cvtColor(version, cv2.COLOR_RGB2GRAY)
    contrast = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    lab = cv2.cvtColor(version, cv2.COLOR_RGB2LAB).astype(np.float32)
    blurred = cv2.cvtColor(cv2.GaussianBlur(version, (5, 5), 0), cv2.COLOR_RGB2LAB).astype(np.float32)
    saliency = np.linalg.norm(blurred - lab.mean(axis=(0, 1)), axis=2)
    tint = version.astype(np.float32) - grey[..., None]
    return (contrast + saliency + np.sqrt((tint**2).mean(axis=2))) / 255 + 0.1


def udcp(pixels: Pixels) -> Pixels:
    """Dark channel of green and blue, with a guided filter at full size."""
    scale = math.sqrt(pixels.shape[0] * pixels.shape[1] / 1e6)
    side = 2 * round(7.5 * scale) + 1
    patch = np.ones((side, side), np.uint8)
    values = pixels.astype(np.float32) / 255
    dark = cv2.erode(values[..., 1:].min(axis=2), patch)
    least = np.sort(dark.ravel())[-max(1, math.ceil(0.001 * dark.size))]
    water = values[dark >= least].mean(axis=0)
    rough = 1 - 0.95 * cv2.erode(np.minimum(values[..., 1:] / water[1:], 1).min(axis=2), patch)
    guide = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
    window = (2 * round(60 * scale) + 1,) * 2
    mean, mean_rough = cv2.blur(guide, window), cv2.blur(rough, window)
    slope = (cv2.blur(guide * rough, window) - mean * mean_rough) / (
        cv2.blur(guide * guide, window) - mean**2 + 1e-3
    )
    smooth = cv2.blur(slope, window) * guide + cv2.blur(mean_rough - slope * mean, window)
    return to_bytes(255 * ((values - water) / np.clip(smooth, 0.1, 1)[..., None] + water))


def msrcr(pixels: Pixels) -> Pixels:
    """Blurs at full size, all percentiles."""
    scale = math.sqrt(pixels.shape[0] * pixels.shape[1] / 1e6)
    values = pixels.astype(np.float32)
    logs = np.log(values + 1)
    light = sum(np.log(cv2.GaussianBlur(values, (0, 0), sigma * scale) + 1) for sigma in (15, 80, 250)) / 3
    restoration = np.log(125 / 3) + logs - np.log(np.rint(values.mean(axis=2, keepdims=True)) + 1)
    restoration = np.where(logs < light, np.log(125 / 3), np.maximum(restoration, 0))
    found = (logs - light) * restoration
    low, high = np.percentile(found, (1, 99), axis=(0, 1))
    return to_bytes(255 * (found - low) / (high - low))


def clahe(pixels: Pixels) -> Pixels:
    """OpenCV's CLAHE on its 8-bit Lab."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(lab[..., 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def clahe_float(pixels: Pixels) -> Pixels:
    """OpenCV's CLAHE on the lightness of its float Lab."""
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lightness = to_bytes(lab[..., 0] * 2.55)
    lab[..., 0] += (cv2.createCLAHE(2.0, (8, 8)).apply(lightness) - lightness.astype(np.float32)) / 2.55
    return to_bytes(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255)


def stretch(pixels: Pixels) -> Pixels:
    """NumPy's percentiles."""
    low, high = np.percentile(pixels, (0.5, 99.5), axis=(0, 1))
    return to_bytes((pixels - low) * (255 / (high - low)))


def stretch_skimage(pixels: Pixels) -> Pixels:
    """NumPy's percentiles and scikit-image's rescaling, channel by channel."""
    from skimage.exposure import rescale_intensity

    low, high = np.percentile(pixels, (0.5, 99.5), axis=(0, 1))
    channels = [
        rescale_intensity(pixels[..., c].astype(np.float32), (low[c], high[c]), (0, 255)) for c in range(3)
    ]
    return to_bytes(np.stack(channels, axis=2))


PLAIN = {
    "median": {"OpenCV": median},
    "bilateral": {"OpenCV": bilateral},
    "nlm": {"scikit-image, OpenCV": nlm_skimage},
    "grey-world": {"NumPy": grey_world},
    "shades-of-grey": {"NumPy": shades_of_grey},
    "lab-grey-world": {"OpenCV, float Lab": lab_grey_world, "scikit-image": lab_grey_world_skimage},
    "red-compensation": {"NumPy": red_compensation},
    "fusion": {"OpenCV, NumPy": fusion},
    "udcp": {"OpenCV, NumPy": udcp},
    "msrcr": {"OpenCV, NumPy": msrcr},
    "clahe": {"OpenCV, 8-bit Lab": clahe, "OpenCV, float Lab": clahe_float},
    "stretch": {"NumPy": stretch, "NumPy, scikit-image": stretch_skimage},
}
"""The compositions of each step, by the libraries that they call."""
