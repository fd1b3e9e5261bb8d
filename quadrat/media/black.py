"""Detect black frames: a covered lens, a dead camera, a fade."""

from __future__ import annotations

import cv2

from quadrat.types import ImageU8

MAX_BLACK = 24
"""Maximum value in a black frame: untagged limited-range video has black at 16."""
MAX_SPREAD = 16
"""Maximum difference between two values of a black frame; it allows for sensor noise and compression."""
_COARSE = 16


def is_black(pixels: ImageU8) -> bool:
    """Return True if (H, W, 3) uint8 is black: no value above MAX_BLACK, and all within MAX_SPREAD of each other.

    The check is exact: a single bright pixel is detected. Every 16th pixel of every 16th row is checked
    first, so that most frames need no full scan.
    """
    coarse = pixels[::_COARSE, ::_COARSE]
    if int(coarse.max()) > MAX_BLACK:
        return False
    darkest, brightest, _, _ = cv2.minMaxLoc(pixels.reshape(pixels.shape[0], -1))
    return bool(brightest <= MAX_BLACK and brightest - darkest <= MAX_SPREAD)
