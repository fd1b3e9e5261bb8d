"""Judge whether what a network finds in pictures can be right: a wrong layout gives boxes that cannot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export_model.objects import CanonicalObjects
from quadrat.geometry import HW

LEAST = 20
"""Boxes that it takes to judge where they lie."""
MOST = 50
"""Boxes of a picture that are judged: those with the best scores, however low."""
CORNER = 0.125
"""Boxes that all lie within this share of the input's sides from the upper left corner are not the objects of pictures."""
MARGIN = 0.25
"""How far the centre of a box may lie outside the input, as a share of its sides: a network rarely finds more."""
SIZE = 2.0
"""Boxes are at most this many times as large as the input."""


def judge(found: Sequence[CanonicalObjects], hw: HW) -> str:
    """Return why the best boxes found in several inputs of (height, width) pixels cannot be right, or "" if they can.

    Few boxes are not judged. Scores play no part: networks give boxes with low scores for any picture.
    """
    boxes = np.concatenate([each.best(MOST).boxes for each in found]).astype(np.float64)
    if len(boxes) < LEAST:
        return ""
    sides = np.array([hw[1], hw[0]], np.float64)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / sides
    sizes = (boxes[:, 2:] - boxes[:, :2]) / sides
    outside = ((centres < -MARGIN) | (centres > 1 + MARGIN)).any(axis=1)
    if outside.mean() > 0.5:
        return f"{outside.mean():.0%} of the best boxes lie outside the picture"
    if (sizes > SIZE).any(axis=1).mean() > 0.5:
        return f"{(sizes > SIZE).any(axis=1).mean():.0%} of the best boxes are much larger than the picture"
    low = (boxes[:, 2:] / sides < CORNER).all(axis=1)
    if low.mean() > 0.9:
        return f"{low.mean():.0%} of the best boxes lie in the upper left corner"
    return ""
