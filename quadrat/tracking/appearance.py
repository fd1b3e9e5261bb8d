"""What an object looks like, without a network: its colours, by where in the box they are."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.types import ImageU8

PATCH_H, PATCH_W = 24, 16
"""Pixels that each box is brought to."""
MARGIN = 0.1
"""Of each side that is left out: there is background."""
SAMPLES = 64
"""A larger side is thinned to about so many pixels before it is averaged."""
BANDS = 3
"""Parts from top to bottom that have colours of their own."""
LIGHTS, COLOURS = 6, 8
"""Bins of lightness, and of each of the two colour axes (CIE L*a*b*)."""
COLOUR_RANGE = 48.0
"""Of the colour axes in 8-bit units to each side of grey; what is stronger goes into the last bin."""


def describe(pixels: ImageU8, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Describe boxes (N, 4), corners in pixels of this picture (H, W, 3) uint8 RGB, by vectors (N, D) of length 1.

    Each box is brought to one small size. In each of its bands the share of pixels per bin is counted, over
    the plane of colours and over lightness, a pixel dividing its vote between neighbouring bins. The root of the
    shares makes the product of two vectors their Bhattacharyya coefficient: 1 for the same colours in the same
    bands, 0 for none in common. A box outside the picture is described by the pixel of it that is nearest.
    """
    if not len(boxes):
        return np.zeros((0, BANDS * (COLOURS * COLOURS + LIGHTS)), np.float32)
    patches = np.stack([_patch(pixels, box) for box in np.nan_to_num(boxes).tolist()])
    lab = cv2.cvtColor(patches.reshape(-1, PATCH_W, 3), cv2.COLOR_RGB2LAB)
    bands = lab.reshape(len(boxes) * BANDS, -1, 3).astype(np.float32)
    light = _bins(bands[..., 0] / 255, LIGHTS)
    red = _bins((bands[..., 1] - 128) / (2 * COLOUR_RANGE) + 0.5, COLOURS)
    blue = _bins((bands[..., 2] - 128) / (2 * COLOUR_RANGE) + 0.5, COLOURS)
    colours = np.matmul(red.transpose(0, 2, 1), blue).reshape(len(bands), -1)
    shares = np.concatenate([colours, light.sum(axis=1)], axis=1).reshape(len(boxes), -1)
    looks: NDArray[np.float32] = np.sqrt(shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    return looks


def _patch(pixels: ImageU8, box: list[float]) -> ImageU8:
    """Cut a box, less its margin, and bring it to the patch's size."""
    height, width = pixels.shape[:2]
    x0, x1 = _inside(box[0], box[2], width)
    y0, y1 = _inside(box[1], box[3], height)
    step_y, step_x = max(1, (y1 - y0) // SAMPLES), max(1, (x1 - x0) // SAMPLES)
    cut = np.ascontiguousarray(pixels[y0:y1:step_y, x0:x1:step_x])
    smaller = cut.shape[0] >= PATCH_H and cut.shape[1] >= PATCH_W
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    patch: ImageU8 = cv2.resize(cut, (PATCH_W, PATCH_H), interpolation=how)
    return patch


def _inside(low: float, high: float, size: int) -> tuple[int, int]:
    """Give whole pixels of one side without its margin, at least one, inside 0..size."""
    margin = MARGIN * (high - low)
    first = min(max(int(low + margin), 0), size - 1)
    last = min(max(int(np.ceil(high - margin)), first + 1), size)
    return first, last


def _bins(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Divide values (M, P) in 0..1 between the two nearest of `count` bins: (M, P, count) float32."""
    places = np.clip(values, 0, 1)[..., None] * (count - 1)
    near = 1 - np.abs(places - np.arange(count, dtype=np.float32))
    votes: NDArray[np.float32] = np.maximum(near, np.float32(0))
    return votes
