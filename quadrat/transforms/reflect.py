"""Padding by reflection and conversion to luma, for networks that make pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ImageSizeError
from quadrat.geometry import HW, Geometry
from quadrat.transforms.params import MAX_TENSOR_PIXELS, Params

MAX_DIVISOR = 4096
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma Y of JPEG (ITU-R BT.601, full range)."""


def reflect_padding(params: Params) -> ReflectPadding:
    """Read ReflectPadding(divisor=1, least=1, height=null, width=null)."""
    divisor = params.integer("divisor", 1, high=MAX_DIVISOR)
    least = params.integer("least", 1, high=MAX_DIVISOR)
    return ReflectPadding(divisor, least, params.integer_or_none("height"), params.integer_or_none("width"))


@dataclass(frozen=True, slots=True)
class ReflectPadding:
    """Pad below and to the right by reflection about the last row and column, which are not repeated.

    Pictures are brought to `height` and `width`, or, where that is None, to the next multiple of `divisor` that is at
    least `least`. A picture of one row or column is repeated.
    """

    divisor: int
    least: int
    height: int | None = None
    width: int | None = None

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Pad (H, W, C), keeping the dtype; returned as is if it already has the size. Raises ImageSizeError."""
        old: HW = (pixels.shape[0], pixels.shape[1])
        height, width = new = self.padded_hw(old)
        if new == old:
            return pixels, geometry
        if height < old[0] or width < old[1] or height * width > MAX_TENSOR_PIXELS:
            raise ImageSizeError(
                f"{old[1]} x {old[0]} pixels do not fit the model's input of {width} x {height}",
                hint="Set tile-size, so that the picture is cut into tiles",
            )
        more = (0, height - old[0], 0, width - old[1])
        padded = cv2.copyMakeBorder(pixels, *more, cv2.BORDER_REFLECT_101)
        return padded.reshape(height, width, pixels.shape[2]), geometry.padded(new)

    def padded_hw(self, hw: HW) -> HW:
        """Return the (height, width) that a picture of `hw` gets."""
        height, width = (math.ceil(max(side, self.least) / self.divisor) * self.divisor for side in hw)
        return self.height or height, self.width or width


def to_y(_params: Params) -> ToY:
    """Read ToY(), for networks that see the luma only."""
    return ToY()


@dataclass(frozen=True, slots=True)
class ToY:
    """Convert RGB to the luma Y of JPEG, without rounding it."""

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Convert (H, W, 3) in 0-255 to (H, W, 1) float32 in 0-255."""
        red, green, blue = (pixels[..., channel].astype(np.float32) for channel in range(3))
        luma = red * np.float32(LUMA[0]) + green * np.float32(LUMA[1]) + blue * np.float32(LUMA[2])
        return luma[..., None], geometry
