"""Scale frames."""

from __future__ import annotations

import cv2
import numpy as np

from quadrat.geometry import HW
from quadrat.types import ImageU8


def scaled(pixels: ImageU8, hw: HW) -> ImageU8:
    """Scale (H, W, 3) uint8 to `hw` (height, width): by area averaging if it shrinks, else bilinearly."""
    if pixels.shape[:2] == hw:
        return pixels
    shrinks = hw[0] * hw[1] < pixels.shape[0] * pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (hw[1], hw[0]), interpolation=how), np.uint8)
