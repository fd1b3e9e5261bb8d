"""Embeddings of objects without a network: colour histograms of horizontal bands."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.types import ImageU8

PATCH_H, PATCH_W = 24, 16
"""Height and width, in pixels, to which each box is resized."""
MARGIN = 0.1
"""Share of each side that is left out at both ends, because it shows background."""
MAX_SAMPLES = 64
"""Sides of at least twice this many pixels are subsampled before they are resized."""
BANDS = 3
"""Number of bands from top to bottom, each with a histogram of its own."""
LIGHTNESS_BINS, COLOUR_BINS = 6, 8
"""Number of bins of lightness, and of each of the two colour axes (CIE L*a*b*)."""
COLOUR_RANGE = 48.0
"""Range of the colour axes to each side of grey, in 8-bit units; stronger colours go into the outermost bins."""


def embed(pixels: ImageU8, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an embedding of length 1 for each box: (N, D) float32.

    `pixels` is (H, W, 3) uint8 RGB; `boxes` (N, 4) are corners x0, y0, x1, y1 in pixels of it, in any place and order.

    Each box is resized to one small patch and cut into bands. Each band counts its pixels in a joint histogram of the
    two colour axes and in one of lightness; a pixel divides its vote linearly between neighbouring bins. An embedding
    is the square root of the shares, so that the product of two is their Bhattacharyya coefficient: 1 for equal
    histograms, 0 for histograms without a common bin (Bhattacharyya, On a Measure of Divergence Between Two
    Statistical Populations, 1943). A box outside the picture is described by the nearest pixels.
    """
    if not len(boxes):
        return np.zeros((0, BANDS * (COLOUR_BINS * COLOUR_BINS + LIGHTNESS_BINS)), np.float32)
    patches = np.stack([_patch(pixels, box) for box in np.nan_to_num(boxes).tolist()])
    lab = cv2.cvtColor(patches.reshape(-1, PATCH_W, 3), cv2.COLOR_RGB2LAB)
    bands = lab.reshape(len(boxes) * BANDS, -1, 3).astype(np.float32)
    lightness = _votes(bands[..., 0] / 255, LIGHTNESS_BINS)
    a_axis = _votes((bands[..., 1] - 128) / (2 * COLOUR_RANGE) + 0.5, COLOUR_BINS)
    b_axis = _votes((bands[..., 2] - 128) / (2 * COLOUR_RANGE) + 0.5, COLOUR_BINS)
    colours = np.matmul(a_axis.transpose(0, 2, 1), b_axis).reshape(len(bands), -1)
    counts = np.concatenate([colours, lightness.sum(axis=1)], axis=1).reshape(len(boxes), -1)
    embeddings: NDArray[np.float32] = np.sqrt(counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    return embeddings


def _patch(pixels: ImageU8, box: list[float]) -> ImageU8:
    """Return the box without its margin, resized to (PATCH_H, PATCH_W, 3)."""
    height, width = pixels.shape[:2]
    x0, x1 = _pixel_range(box[0], box[2], width)
    y0, y1 = _pixel_range(box[1], box[3], height)
    step_y, step_x = max(1, (y1 - y0) // MAX_SAMPLES), max(1, (x1 - x0) // MAX_SAMPLES)
    crop = np.ascontiguousarray(pixels[y0:y1:step_y, x0:x1:step_x])
    shrinks = crop.shape[0] >= PATCH_H and crop.shape[1] >= PATCH_W
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    patch: ImageU8 = cv2.resize(crop, (PATCH_W, PATCH_H), interpolation=interpolation)
    return patch


def _pixel_range(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the first and past-the-last pixel of one side without its margin: at least one pixel, within 0..size."""
    margin = MARGIN * (high - low)
    first = min(max(int(low + margin), 0), size - 1)
    last = min(max(int(np.ceil(high - margin)), first + 1), size)
    return first, last


def _votes(values: NDArray[np.float32], bins: int) -> NDArray[np.float32]:
    """Return the votes (M, P, bins) float32 of values (M, P) in 0..1 for the two nearest of `bins` bins."""
    positions = np.clip(values, 0, 1)[..., None] * (bins - 1)
    nearness = 1 - np.abs(positions - np.arange(bins, dtype=np.float32))
    votes: NDArray[np.float32] = np.maximum(nearness, np.float32(0))
    return votes
