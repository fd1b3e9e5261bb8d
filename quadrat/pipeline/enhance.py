"""Steps -> enhanced frames: whole, or window by window if a picture is kept on disk."""

from __future__ import annotations

import numpy as np

from quadrat.engines.limits import fits
from quadrat.errors import ImageSizeError
from quadrat.media.images import MAX_SOURCE_PIXELS
from quadrat.media.scratch import large, scratch
from quadrat.steps import Steps
from quadrat.types import ImageU8

CHECKED_PIXELS = 10_000_000
"""Whether there is memory for the steps is checked for larger pictures."""
BYTES_PER_PIXEL = 60
"""Memory that a global step takes for each pixel, at most: five copies of three channels in 32 bits."""


def enhanced(pixels: ImageU8, steps: Steps, name: str) -> ImageU8:
    """Return pixels (h, w, 3) uint8 RGB after the steps; `pixels` itself without any.

    `name` is the source's. The result of local steps on a picture that is kept on disk is on disk, too. Raises
    ImageSizeError for a mosaic if a step is global, and for a picture that does not fit into memory.
    """
    if not steps:
        return pixels
    height, width = pixels.shape[:2]
    if steps.is_local and large((height, width)):
        made: ImageU8 = scratch(pixels.shape, np.uint8)
        for window, part in steps.windows(pixels):
            made[window.top : window.bottom, window.left : window.right] = part
        return made
    if height * width > MAX_SOURCE_PIXELS:
        steps.check_mosaic(name)
    if height * width > CHECKED_PIXELS and not fits(height * width * BYTES_PER_PIXEL):
        raise ImageSizeError(
            f"there is no memory to apply {steps} to {width} x {height} pixels at once",
            where=name,
            hint="Shrink it with --max-img-size, or give other steps to --enhance",
        )
    return steps.apply(pixels)
