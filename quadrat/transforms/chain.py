"""Run the transforms of one archive in order and return a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import TransformError
from quadrat.geometry import HW, Geometry
from quadrat.protocols import Transform
from quadrat.transforms.letterbox import Letterbox, ToBGR
from quadrat.transforms.normalize import Normalize
from quadrat.transforms.pillow import CenterCrop, PilResize
from quadrat.transforms.reflect import ToY
from quadrat.transforms.resize import Resize
from quadrat.types import ImageU8


@dataclass(frozen=True, slots=True)
class Chain:
    """Runs its steps on each picture; it keeps no state between pictures."""

    steps: tuple[Transform, ...]

    def __call__(self, pixels: ImageU8, geometry: Geometry) -> tuple[NDArray[np.float32], Geometry]:
        """Convert (H, W, 3) uint8 RGB to (3, h, w) float32, C-contiguous."""
        image: NDArray[Any] = pixels
        for number, step in enumerate(self.steps, start=1):
            last = number == len(self.steps)
            if last and isinstance(step, Normalize) and image.dtype == np.uint8:
                return step.planes(image), geometry
            image, geometry = step(image, geometry)
        planes = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
        return planes, geometry

    def scaled_hw(self, hw: HW) -> HW:
        """Return the (height, width) to which a picture of `hw` is scaled, without padding."""
        for step in self.steps:
            if isinstance(step, Resize | PilResize):
                hw = step.target(hw)
            elif isinstance(step, Letterbox):
                hw = step.scaled_hw(hw)
        return hw


def check_order(steps: Sequence[Transform]) -> None:
    """Raise TransformError if a transform does not take what the one before it gives.

    PilResize takes whole values only. After ToY there is one channel, which only Normalize takes, with one mean and std.
    """
    whole, grey = True, False
    for step in steps:
        if isinstance(step, PilResize) and not whole:
            raise TransformError(
                "it takes the whole values of a picture, so only another one, CenterCrop, Letterbox and ToBGR may "
                "come before it",
                where="transforms: PilResize",
            )
        if grey and not (isinstance(step, Normalize) and len(step.mean) == len(step.std) == 1):
            raise TransformError(
                "only a Normalize with one mean and one std may come after it", where="transforms: ToY"
            )
        grey = grey or isinstance(step, ToY)
        whole = whole and isinstance(step, PilResize | CenterCrop | Letterbox | ToBGR)
