"""Run the transforms of one archive in order and return a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW, Geometry
from quadrat.protocols import Transform
from quadrat.transforms.letterbox import Letterbox
from quadrat.transforms.normalize import Normalize
from quadrat.transforms.pillow import PilResize
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
