"""The resizes: each decides a size from the picture's; one function scales pixels and geometry.

PaddleSeg resizes float32, not uint8, and its rounding is Python's: both are kept.
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
class Resized:
    """Scale the whole picture to the size that `target` gives for its (height, width)."""

    name: str
    target: Callable[[HW], HW]
    interpolation: int = cv2.INTER_LINEAR

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Scale (H, W, 3); untouched, uint8 included, where the size is right already."""
        old: HW = (pixels.shape[0], pixels.shape[1])
        height, width = new = self.target(old)
        if min(new) < 1 or height * width > MAX_TENSOR_PIXELS:
            raise ImageSizeError(
                f"the model's {self.name} would make {width} x {height} pixels of {old[1]} x {old[0]}",
                hint="The picture's shape does not fit this model",
            )
        if new == old:
            return pixels, geometry
        values = pixels.astype(np.float32, copy=False)
        return cv2.resize(values, (width, height), interpolation=self.interpolation), geometry.resized(new)


def resize(params: Params) -> Resized:
    """Read Resize(target_size=[512, 512] as (w, h), keep_ratio=False, size_divisor=None, interp=LINEAR).

    interp=RANDOM is refused.
    """
    size = params.size("target_size", (512, 512))
    target = _Fit(
        size,
        params.flag("keep_ratio", default=False),
        params.integer_or_none("size_divisor") or 1,
    )
    return Resized(
        "Resize", target, _INTERPOLATIONS[params.choice("interp", "LINEAR", tuple(_INTERPOLATIONS))]
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """To `size` (width, height), or the largest inside it with the ratio kept; then up to a multiple."""

    size: tuple[int, int]
    keep_ratio: bool
    divisor: int

    def __call__(self, hw: HW) -> HW:
        width, height = self.size
        if self.keep_ratio:
            scale = min(max(self.size) / max(hw), min(self.size) / min(hw))
            width, height = round(hw[1] * scale), round(hw[0] * scale)
        return math.ceil(height / self.divisor) * self.divisor, math.ceil(width / self.divisor) * self.divisor


def resize_by_long(params: Params) -> Resized:
    """Read ResizeByLong(long_size): the long side to this many pixels."""
    return Resized("ResizeByLong", _Long(params.integer("long_size")))


def resize_range_scaling(params: Params) -> Resized:
    """Read ResizeRangeScaling(min_value=400, max_value=600); random, so refused, unless they are equal."""
    low, high = params.integer("min_value", 400), params.integer("max_value", 600)
    if low != high:
        raise params.wrong("max_value", high, f"equal to min_value ({low}), else the size is random")
    return Resized("ResizeRangeScaling", _Long(high))


@dataclass(frozen=True, slots=True)
class _Long:
    size: int

    def __call__(self, hw: HW) -> HW:
        return _scaled(hw, float(self.size) / float(max(hw)))


def limit_long(params: Params) -> Resized:
    """Read LimitLong(max_long=None, min_long=None): the long side into this range."""
    high, low = params.integer_or_none("max_long"), params.integer_or_none("min_long")
    if high is not None and low is not None and low > high:
        raise params.wrong("min_long", low, f"at most max_long ({high})")
    return Resized("LimitLong", _Limit(high, low))


@dataclass(frozen=True, slots=True)
class _Limit:
    high: int | None
    low: int | None

    def __call__(self, hw: HW) -> HW:
        if self.high is not None and max(hw) > self.high:
            return _Long(self.high)(hw)
        if self.low is not None and max(hw) < self.low:
            return _Long(self.low)(hw)
        return hw


def resize_by_short(params: Params) -> Resized:
    """Read ResizeByShort(short_size, max_size=1e10): the short side to this, the long one at most that.

    PaddleSeg overwrites its short_size at the first limited picture and shrinks all later ones;
    here every picture is treated as the first. A list of several short sizes is random: refused.
    """
    params.single("short_size")
    return Resized(
        "ResizeByShort",
        _Short(params.integer("short_size"), params.number("max_size", 1e10, low=1, high=1e12)),
    )


@dataclass(frozen=True, slots=True)
class _Short:
    size: int
    longest: float

    def __call__(self, hw: HW) -> HW:
        size = self.size
        if size / min(hw) * max(hw) > self.longest:
            size = int((self.longest / max(hw)) * min(hw))
        return _scaled(hw, float(size) / float(min(hw)))


def resize_step_scaling(params: Params) -> Resized:
    """Read ResizeStepScaling(min_scale_factor=0.75, max_scale_factor=1.25, scale_step_size=0.25).

    Random, so refused, unless only one step lies in the range.
    """
    low = params.number("min_scale_factor", 0.75, low=1e-4, high=1e4)
    high = params.number("max_scale_factor", 1.25, low=1e-4, high=1e4)
    step = params.number("scale_step_size", 0.25, low=0, high=1e4)
    if low != high and (low > high or step == 0 or int((high - low) / step + 1) != 1):
        raise params.wrong(
            "max_scale_factor", high, f"equal to min_scale_factor ({low}), else the size is random"
        )
    return Resized("ResizeStepScaling", _Factor(low))


@dataclass(frozen=True, slots=True)
class _Factor:
    scale: float

    def __call__(self, hw: HW) -> HW:
        return _scaled(hw, self.scale)


def _scaled(hw: HW, scale: float) -> HW:
    return int(round(hw[0] * scale)), int(round(hw[1] * scale))  # noqa: RUF046 - scale may be a whole number
