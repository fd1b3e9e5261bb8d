"""Letterbox and channel order, as used in training and exporting detectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW, Geometry
from quadrat.transforms.params import Params


def letterbox(params: Params) -> Letterbox:
    """Read Letterbox(size as (w, h), color=114, scale_up=true, center=true)."""
    width, height = params.size("size")
    return Letterbox(
        (height, width),
        params.integer("color", 114, low=0, high=255),
        params.flag("scale_up", True),
        params.flag("center", True),
    )


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Scale to fit `size` (height, width), keeping the aspect ratio, and pad with the grey value `color`.

    Without `scale_up`, smaller pictures keep their size. With `center`, the picture is centred, and an odd
    pixel of padding goes below and to the right, as in YOLO; otherwise the picture is in the upper left
    corner. Scaling is bilinear in both directions, as in the YOLO exporters, so that the network sees the
    same values as in its own tests.
    """

    size: HW
    color: int
    scale_up: bool
    center: bool

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Letterbox (H, W, 3) uint8 or float32 to `size`, keeping the dtype."""
        old: HW = (pixels.shape[0], pixels.shape[1])
        new = self.scaled_hw(old)
        if new != old:
            pixels = cv2.resize(pixels, (new[1], new[0]), interpolation=cv2.INTER_LINEAR)
            geometry = geometry.resized(new)
        if new == self.size:
            return pixels, geometry
        more_h, more_w = self.size[0] - new[0], self.size[1] - new[1]
        top, left = (more_h // 2, more_w // 2) if self.center else (0, 0)
        padded = cv2.copyMakeBorder(
            pixels, top, more_h - top, left, more_w - left, cv2.BORDER_CONSTANT, value=(self.color,) * 3
        )
        return padded, geometry.padded(self.size, top=top, left=left)

    def scaled_hw(self, old: HW) -> HW:
        """Return the (height, width) of the scaled picture, at least one pixel each."""
        scale = min(self.size[0] / old[0], self.size[1] / old[1])
        if not self.scale_up:
            scale = min(scale, 1.0)
        return max(1, round(old[0] * scale)), max(1, round(old[1] * scale))


def to_bgr(_params: Params) -> ToBGR:
    """Read ToBGR(), for networks trained on BGR pictures as OpenCV reads them."""
    return ToBGR()


@dataclass(frozen=True, slots=True)
class ToBGR:
    """Convert RGB to BGR; the transforms after it use this channel order."""

    def __call__(self, pixels: NDArray[Any], geometry: Geometry) -> tuple[NDArray[Any], Geometry]:
        """Reverse the channels of (H, W, 3)."""
        return np.ascontiguousarray(pixels[..., ::-1]), geometry
