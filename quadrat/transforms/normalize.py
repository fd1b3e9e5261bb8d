"""Normalize: pixel values to the numbers that the network was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import Geometry
from quadrat.transforms.params import Params
from quadrat.types import ImageU8


def normalize(params: Params) -> Normalize:
    """Read Normalize(mean=(0.5,), std=(0.5,)), one value or one for each of R, G, B."""
    mean = params.numbers("mean", (0.5,), low=0, high=1e6)
    return Normalize(mean, params.numbers("std", (0.5,), low=1e-6, high=1e6))


@dataclass(frozen=True, slots=True)
class Normalize:
    """(pixels / 255 - mean) / std; the geometry stays.

    The division by 255 is in float32, the rest in float64 rounded to float32 after each step:
    PaddleSeg's numbers to the last bit.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Normalise (H, W, 3) float32 0-255."""
        values = pixels.astype(np.float32, copy=False) / np.float32(255)
        values -= np.array(self.mean)
        values /= np.array(self.std)
        return values, geometry

    def planes(self, pixels: ImageU8) -> NDArray[np.float32]:
        """Normalise (H, W, 3) uint8 straight to (3, H, W) float32: the same numbers, looked up."""
        grey = np.repeat(np.arange(256, dtype=np.float32)[:, None], 3, axis=1)
        table, _ = self(grey, Geometry.identity((1, 1)))
        tensor = np.empty((3, *pixels.shape[:2]), np.float32)
        for channel in range(3):
            cv2.LUT(
                cv2.extractChannel(pixels, channel), np.ascontiguousarray(table[:, channel]), tensor[channel]
            )
        return tensor


def keep(params: Params) -> Keep:
    """Read GenerateInstanceTargets(num_classes, ignore_index), which only makes labels."""
    params.ignore("num_classes", "ignore_index")
    return Keep()


@dataclass(frozen=True, slots=True)
class Keep:
    """Changes nothing: it works on labels, of which there are none at inference."""

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Return both as they are."""
        return pixels, geometry
