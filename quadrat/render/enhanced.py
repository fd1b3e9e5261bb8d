"""Draw the frames of enhanced videos."""

from __future__ import annotations

from collections.abc import Sequence

from quadrat.parameters import PictureSettings
from quadrat.predictions import Enhanced
from quadrat.types import ClassInfo, Frame, ImageU8


def annotate(
    _frame: Frame, enhanced: Enhanced, _classes: Sequence[ClassInfo], _pictures: PictureSettings
) -> ImageU8:
    """Return the enhanced frame (H, W, 3) uint8 RGB itself: nothing is drawn into it."""
    return enhanced.pixels
