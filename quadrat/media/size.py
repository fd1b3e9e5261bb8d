"""Compute the working size, at which pictures are measured."""

from __future__ import annotations

import math

from quadrat.geometry import HW


def working_hw(hw: HW, max_pixels: int | str | None) -> HW:
    """Return the (height, width) at which an upright picture of `hw` is measured.

    A picture of more than `max_pixels` is shrunk to at most that many, its shape kept, each side
    rounded down as the original service did and at least 1; None or a negative `max_pixels` sets no limit. A text such as
    "1024px" limits the long side instead.
    """
    height, width = hw
    if isinstance(max_pixels, str):
        longest, limit = max(hw), int(max_pixels.removesuffix("px"))
        if longest <= limit:
            return hw
        return max(1, height * limit // longest), max(1, width * limit // longest)
    pixels = height * width
    if max_pixels is None or max_pixels < 0 or pixels <= max_pixels:
        return hw
    scale = math.sqrt(max_pixels / pixels)
    # The short side of a very long picture would be 0; then the long side alone meets the limit.
    small_h, small_w = max(1, int(scale * height)), max(1, int(scale * width))
    limit = max(1, max_pixels)
    return min(small_h, max(1, limit // small_w)), min(small_w, max(1, limit // small_h))
