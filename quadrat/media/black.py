"""Whether a frame shows nothing: a covered lens, a dead camera, a fade."""

from __future__ import annotations

import cv2

from quadrat.types import ImageU8

BRIGHTEST = 24
"""No value of a black frame is above this: black of limited range is 16 where its range went unsaid."""
SPREAD = 16
"""From the darkest to the brightest value of a black frame: room for the noise of a sensor and of coding."""
_COARSE = 16


def is_black(pixels: ImageU8) -> bool:
    """Say whether (H, W, 3) uint8 is black all over: no value above BRIGHTEST, all within SPREAD.

    Exact: every value counts, so one lit pixel is seen. Most frames are told from black by each 16th pixel
    of each 16th row already, and only those that are not are looked at whole.
    """
    coarse = pixels[::_COARSE, ::_COARSE]
    if int(coarse.max()) > BRIGHTEST:
        return False
    darkest, brightest, _, _ = cv2.minMaxLoc(pixels.reshape(pixels.shape[0], -1))
    return bool(brightest <= BRIGHTEST and brightest - darkest <= SPREAD)
