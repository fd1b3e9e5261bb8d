"""Resizing with Pillow's filters and cropping, as classifiers are trained with torchvision, timm and transformers.

Pillow widens its filter when it shrinks a picture (it antialiases) and rounds to whole pixel values; OpenCV does
neither, so a network gets other values than in its training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quadrat.errors import ImageSizeError
from quadrat.geometry import HW, Geometry, Window
from quadrat.transforms.params import MAX_TENSOR_PIXELS, Params

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
"""Names of Pillow's filters."""
PLACES = ("floor", "round")
"""How the corner of a crop is rounded: down as in transformers, or to the nearest even as in torchvision."""


@dataclass(frozen=True, slots=True)
class PilResize:
    """Resize with one of Pillow's filters to `size` (height, width), or so that the short side is `short` pixels.

    Exactly one of both is given. The long side is rounded down, as torchvision and transformers do.
    """

    size: HW | None
    short: int
    resample: Image.Resampling

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Resize (H, W, 3) uint8."""
        old: HW = (pixels.shape[0], pixels.shape[1])
        height, width = new = self.target(old)
        if min(new) < 1 or height * width > MAX_TENSOR_PIXELS:
            raise ImageSizeError(
                f"the model's PilResize would resize {old[1]} x {old[0]} pixels to {width} x {height}",
                hint="Crop the picture: its aspect ratio is too extreme for this model",
            )
        if new == old:
            return pixels, geometry
        resized = Image.fromarray(pixels).resize((width, height), self.resample)
        return np.asarray(resized), geometry.resized(new)

    def target(self, hw: HW) -> HW:
        """Return the (height, width) to which a picture of `hw` is resized."""
        if self.size is not None:
            return self.size
        new = int(self.short * max(hw) / min(hw))
        return (self.short, new) if hw[0] <= hw[1] else (new, self.short)


def pil_resize(params: Params) -> PilResize:
    """Read PilResize(target_size as (w, h) or short_size, resample=bilinear)."""
    resample = FILTERS[params.choice("resample", "bilinear", tuple(FILTERS))]
    short = params.integer_or_none("short_size")
    if short is not None:
        return PilResize(None, short, resample)
    width, height = params.size("target_size")
    return PilResize((height, width), 0, resample)


@dataclass(frozen=True, slots=True)
class CenterCrop:
    """Cut `size` (height, width) out of the middle of a picture, padding a smaller one with black.

    `nearest` is True if the corner is rounded to the nearest even number (torchvision), False if it is rounded down
    (transformers); the padding of an odd difference then begins at the lower or at the higher number.
    """

    size: HW
    nearest: bool

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Crop (H, W, 3) of any dtype."""
        hw = (pixels.shape[0], pixels.shape[1])
        new = self.size
        before = tuple(self._padding(old, side) for old, side in zip(hw, new, strict=True))
        grown = tuple(max(old, side) for old, side in zip(hw, new, strict=True))
        corner = [self._corner(old, side) for old, side in zip(grown, new, strict=True)]
        if grown != hw:
            larger = np.zeros((*grown, *pixels.shape[2:]), pixels.dtype)
            larger[before[0] : before[0] + hw[0], before[1] : before[1] + hw[1]] = pixels
            pixels = larger
            geometry = geometry.padded((grown[0], grown[1]), top=before[0], left=before[1])
        window = Window(corner[0], corner[1], *new)
        cut = pixels[window.top : window.bottom, window.left : window.right]
        return cut, geometry.cropped(window)

    def _padding(self, old: int, side: int) -> int:
        """Return the pixels of padding before a side of length `old`."""
        more = max(0, side - old)
        return more // 2 if self.nearest else -(-more // 2)

    def _corner(self, old: int, side: int) -> int:
        """Return where the crop begins on a side of length `old`, which is at least `side`."""
        return round((old - side) / 2) if self.nearest else (old - side) // 2


def center_crop(params: Params) -> CenterCrop:
    """Read CenterCrop(size as (w, h), corner=round)."""
    width, height = params.size("size")
    return CenterCrop((height, width), params.choice("corner", "round", PLACES) == "round")
