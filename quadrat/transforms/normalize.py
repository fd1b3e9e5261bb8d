"""Normalize: scale pixel values as in training."""

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
    """Read Normalize(mean=(0.5,), std=(0.5,)), with one value or one per channel."""
    mean = params.numbers("mean", (0.5,), low=0, high=1e6)
    return Normalize(mean, params.numbers("std", (0.5,), low=1e-6, high=1e6))


@dataclass(frozen=True, slots=True)
class Normalize:
    """Compute (pixels / 255 - mean) / std; the geometry is unchanged.

    The division by 255 is in float32; the other steps are in float64, rounded to float32 after each.
    The results equal PaddleSeg's to the last bit.
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
        """Normalise (H, W, 3) uint8 to (3, H, W) float32 by a lookup table; same values as `__call__`."""
        grey = np.repeat(np.arange(256, dtype=np.float32)[:, None], 3, axis=1)
        table, _ = self(grey, Geometry.identity((1, 1)))
        tensor = np.empty((3, *pixels.shape[:2]), np.float32)
        for channel in range(3):
            cv2.LUT(
                cv2.extractChannel(pixels, channel), np.ascontiguousarray(table[:, channel]), tensor[channel]
            )
        return tensor


def generate_instance_targets(params: Params) -> NoOp:
    """Read GenerateInstanceTargets(num_classes, ignore_index), which only creates labels."""
    params.ignore("num_classes", "ignore_index")
    return NoOp()


@dataclass(frozen=True, slots=True)
class NoOp:
    """A transform that affects labels only, and so does nothing at inference."""

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Return both arguments unchanged."""
        return pixels, geometry
