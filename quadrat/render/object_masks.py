"""Tint the masks of objects in a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from quadrat.geometry import HW, Window
from quadrat.package.classes import class_of
from quadrat.parameters import PictureSettings
from quadrat.predictions import UNKNOWN, Detections, Segmentation
from quadrat.types import ClassInfo, ImageU8

DEFAULT = PictureSettings()


def tint_objects(
    pixels: ImageU8,
    detections: Detections,
    classes: Sequence[ClassInfo],
    source_hw: HW,
    style: PictureSettings = DEFAULT,
) -> ImageU8:
    """Return a picture (H, W, 3) uint8 RGB with the mask of every object in the colour of the object's class.

    Masks are those of models about objects, at windows of the upright source of `source_hw` (height, width). Objects
    with higher scores are drawn over others. Without a mask, the picture itself is returned.
    """
    masks = [
        (row, result.window, result.prediction.labels != UNKNOWN)
        for results in detections.details.values()
        for row, result in enumerate(results)
        if result is not None and isinstance(result.prediction, Segmentation)
    ]
    if not masks:
        return pixels
    drawn: ImageU8 = np.array(pixels, order="C")
    named = {info.index: info for info in classes}
    for row, window, mask in sorted(masks, key=lambda each: float(detections.scores[each[0]])):
        color = np.array(class_of(named, int(detections.classes[row]), "").color, np.float32)
        place = _place(window, source_hw, (drawn.shape[0], drawn.shape[1]))
        region = drawn[place.top : place.bottom, place.left : place.right]
        shown = mask
        if mask.shape != region.shape[:2]:
            size = (place.width, place.height)
            shown = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT) > 0
        tinted = region[shown] * (1.0 - style.overlay_opacity) + color * style.overlay_opacity
        region[shown] = np.rint(tinted).astype(np.uint8)
    return drawn


def _place(window: Window, source_hw: HW, hw: HW) -> Window:
    """Return a window of the source in a picture of `hw`, at least one pixel large and inside it."""
    scale_y, scale_x = hw[0] / source_hw[0], hw[1] / source_hw[1]
    top, left = min(round(window.top * scale_y), hw[0] - 1), min(round(window.left * scale_x), hw[1] - 1)
    bottom = min(max(round(window.bottom * scale_y), top + 1), hw[0])
    right = min(max(round(window.right * scale_x), left + 1), hw[1])
    return Window(top, left, bottom - top, right - left)
