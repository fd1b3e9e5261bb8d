"""Padding below and to the right; the geometry excludes it from every result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ImageSizeError
from quadrat.geometry import HW, Geometry
from quadrat.transforms.params import MAX_TENSOR_PIXELS, Params


@dataclass(frozen=True, slots=True)
class Pad:
    """Pad the picture with `value` to the size that `target` returns for its (height, width)."""

    name: str
    target: Callable[[HW], HW]
    value: float

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Pad (H, W, 3); returned as is, uint8 included, if it already has the size."""
        old: HW = (pixels.shape[0], pixels.shape[1])
        height, width = new = self.target(old)
        if new == old:
            return pixels, geometry
        more_h, more_w = height - old[0], width - old[1]
        if more_h < 0 or more_w < 0 or height * width > MAX_TENSOR_PIXELS:
            raise ImageSizeError(
                f"{old[1]} x {old[0]} pixels do not fit the model's {self.name} to {width} x {height}",
                hint="Set max-img-size so that the picture fits",
            )
        values = pixels.astype(np.float32, copy=False)
        padded = cv2.copyMakeBorder(
            values, 0, more_h, 0, more_w, cv2.BORDER_CONSTANT, value=(self.value,) * 3
        )
        return padded, geometry.padded(new)


def padding(params: Params) -> Pad:
    """Read Padding(target_size as (w, h), im_padding_value=127.5, label_padding_value=255)."""
    width, height = params.size("target_size")
    return Pad("Padding", _FixedSize((height, width)), _padding_value(params))


@dataclass(frozen=True, slots=True)
class _FixedSize:
    size: HW

    def __call__(self, _hw: HW) -> HW:
        return self.size


def padding_by_aspect_ratio(params: Params) -> Pad:
    """Read PaddingByAspectRatio(aspect_ratio=1 as width / height, im_padding_value, label_padding_value)."""
    ratio = params.number("aspect_ratio", 1, low=1e-4, high=1e4)
    return Pad("PaddingByAspectRatio", _AspectRatio(ratio), _padding_value(params))


@dataclass(frozen=True, slots=True)
class _AspectRatio:
    ratio: float

    def __call__(self, hw: HW) -> HW:
        height, width = hw
        if width / height > self.ratio:
            return int(width / self.ratio), width
        if width / height < self.ratio:
            return height, int(height * self.ratio)
        return hw


def _padding_value(params: Params) -> float:
    params.ignore("label_padding_value")
    return params.number("im_padding_value", 127.5, low=-1e6, high=1e6)
