"""The shape of a video's pixels and the size at which players show its frames."""

from __future__ import annotations

from fractions import Fraction

from quadrat.geometry import HW
from quadrat.media.container import MAX_VIDEO_PIXELS

MAX_ASPECT = 4
"""Pixels more than four times as wide as high, or as high as wide, are an error of the file."""
INTERLACED = "interlaced, so that moving objects have combed edges: deinterlace it first, for example with ffmpeg -vf bwdif"
"""How frames are described whose two fields were taken at different times."""
_SQUARE = Fraction(1, 100)


def is_square(aspect: Fraction | None) -> bool:
    """Return True for pixels of an unstated shape, or within one percent of a square."""
    return not aspect or abs(aspect - 1) < _SQUARE


def display_hw(hw: HW, aspect: Fraction | None) -> HW | None:
    """Return the (height, width) in square pixels of a stored frame `hw` with pixels of `aspect`, width by height.

    The frame grows along one axis, so that no pixel is lost. Returns None for an aspect beyond MAX_ASPECT, or if
    the frame would exceed MAX_VIDEO_PIXELS.
    """
    if aspect is None or is_square(aspect):
        return hw
    height, width = hw
    shown = (height, round(width * aspect)) if aspect > 1 else (round(height / aspect), width)
    if not 1 <= max(aspect, 1 / aspect) <= MAX_ASPECT or shown[0] * shown[1] > MAX_VIDEO_PIXELS:
        return None
    return shown
