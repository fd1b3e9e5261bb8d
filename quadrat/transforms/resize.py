"""Resizing: each transform computes a target size, and one class scales pixels and geometry.

As in PaddleSeg, pixels are resized as float32 rather than uint8, and sizes are rounded with Python's `round`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ImageSizeError
from quadrat.geometry import HW, Geometry
from quadrat.transforms.params import MAX_TENSOR_PIXELS, Params

_INTERPOLATIONS = {
    "NEAREST": cv2.INTER_NEAREST,
    "LINEAR": cv2.INTER_LINEAR,
    "CUBIC": cv2.INTER_CUBIC,
    "AREA": cv2.INTER_AREA,
    "LANCZOS4": cv2.INTER_LANCZOS4,
}


@dataclass(frozen=True, slots=True)
class Resize:
    """Scale the picture to the size that `target` returns for its (height, width)."""

    name: str
    target: Callable[[HW], HW]
    interpolation: int = cv2.INTER_LINEAR

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Scale (H, W, 3); returned as is, uint8 included, if it already has the size."""
        old: HW = (pixels.shape[0], pixels.shape[1])
        height, width = new = self.target(old)
        if min(new) < 1 or height * width > MAX_TENSOR_PIXELS:
            raise ImageSizeError(
                f"the model's {self.name} would resize {old[1]} x {old[0]} pixels to {width} x {height}",
                hint="Crop the picture: its aspect ratio is too extreme for this model",
            )
        if new == old:
            return pixels, geometry
        values = pixels.astype(np.float32, copy=False)
        return cv2.resize(values, (width, height), interpolation=self.interpolation), geometry.resized(new)


def resize(params: Params) -> Resize:
    """Read Resize(target_size=[512, 512] as (w, h), keep_ratio=False, size_divisor=None, interp=LINEAR).

    interp=RANDOM is refused.
    """
    size = params.size("target_size", (512, 512))
    target = _FitSize(
        size,
        params.flag("keep_ratio", default=False),
        params.integer_or_none("size_divisor") or 1,
    )
    return Resize(
        "Resize", target, _INTERPOLATIONS[params.choice("interp", "LINEAR", tuple(_INTERPOLATIONS))]
    )


@dataclass(frozen=True, slots=True)
class _FitSize:
    """Exactly `size` (width, height), or with `keep_ratio` the largest size inside it; then up to a multiple."""

    size: tuple[int, int]
    keep_ratio: bool
    divisor: int

    def __call__(self, hw: HW) -> HW:
        width, height = self.size
        if self.keep_ratio:
            scale = min(max(self.size) / max(hw), min(self.size) / min(hw))
            width, height = round(hw[1] * scale), round(hw[0] * scale)
        return math.ceil(height / self.divisor) * self.divisor, math.ceil(width / self.divisor) * self.divisor


def resize_by_long(params: Params) -> Resize:
    """Read ResizeByLong(long_size): scale the long side to `long_size` pixels."""
    return Resize("ResizeByLong", _LongSide(params.integer("long_size")))


def resize_range_scaling(params: Params) -> Resize:
    """Read ResizeRangeScaling(min_value=400, max_value=600); refused as random unless they are equal."""
    low, high = params.integer("min_value", 400), params.integer("max_value", 600)
    if low != high:
        raise params.error("max_value", high, f"equal to min_value ({low}): otherwise the size is random")
    return Resize("ResizeRangeScaling", _LongSide(high))


@dataclass(frozen=True, slots=True)
class _LongSide:
    size: int

    def __call__(self, hw: HW) -> HW:
        return _scale_hw(hw, float(self.size) / float(max(hw)))


def limit_long(params: Params) -> Resize:
    """Read LimitLong(max_long=None, min_long=None): scale the long side into this range."""
    high, low = params.integer_or_none("max_long"), params.integer_or_none("min_long")
    if high is not None and low is not None and low > high:
        raise params.error("min_long", low, f"at most max_long ({high})")
    return Resize("LimitLong", _LongSideRange(high, low))


@dataclass(frozen=True, slots=True)
class _LongSideRange:
    high: int | None
    low: int | None

    def __call__(self, hw: HW) -> HW:
        if self.high is not None and max(hw) > self.high:
            return _LongSide(self.high)(hw)
        if self.low is not None and max(hw) < self.low:
            return _LongSide(self.low)(hw)
        return hw


def resize_by_short(params: Params) -> Resize:
    """Read ResizeByShort(short_size, max_size=1e10): scale the short side, limiting the long side.

    PaddleSeg overwrites its short_size at the first limited picture, and so shrinks all later ones;
    here every picture is treated as the first. A list of several short sizes is refused as random.
    """
    params.unwrap_single("short_size")
    return Resize(
        "ResizeByShort",
        _ShortSide(params.integer("short_size"), params.number("max_size", 1e10, low=1, high=1e12)),
    )


@dataclass(frozen=True, slots=True)
class _ShortSide:
    size: int
    longest: float

    def __call__(self, hw: HW) -> HW:
        size = self.size
        if size / min(hw) * max(hw) > self.longest:
            size = int((self.longest / max(hw)) * min(hw))
        return _scale_hw(hw, float(size) / float(min(hw)))


def resize_step_scaling(params: Params) -> Resize:
    """Read ResizeStepScaling(min_scale_factor=0.75, max_scale_factor=1.25, scale_step_size=0.25).

    Refused as random unless the range contains a single step.
    """
    low = params.number("min_scale_factor", 0.75, low=1e-4, high=1e4)
    high = params.number("max_scale_factor", 1.25, low=1e-4, high=1e4)
    step = params.number("scale_step_size", 0.25, low=0, high=1e4)
    if low != high and (low > high or step == 0 or int((high - low) / step + 1) != 1):
        raise params.error(
            "max_scale_factor", high, f"equal to min_scale_factor ({low}): otherwise the size is random"
        )
    return Resize("ResizeStepScaling", _ScaleFactor(low))


@dataclass(frozen=True, slots=True)
class _ScaleFactor:
    scale: float

    def __call__(self, hw: HW) -> HW:
        return _scale_hw(hw, self.scale)


def _scale_hw(hw: HW, scale: float) -> HW:
    return int(round(hw[0] * scale)), int(round(hw[1] * scale))  # noqa: RUF046 - scale may be an integer
