"""Class colours as a palette indexed by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quadrat.types import ClassInfo, Cover

RGB = tuple[int, int, int]


def palette(covers: Sequence[Cover] | Sequence[ClassInfo]) -> list[RGB]:
    """Return (r, g, b) for every index up to the highest class; unused indices are black."""
    colors: list[RGB] = [(0, 0, 0)] * (max((c.index for c in covers), default=0) + 1)
    for cover in covers:
        colors[cover.index] = cover.color
    return colors


def lookup_table(covers: Sequence[Cover] | Sequence[ClassInfo]) -> NDArray[np.uint8]:
    """Return the palette as (256, 3) uint8, for colouring a label plane by indexing."""
    table = np.zeros((256, 3), np.uint8)
    colors = palette(covers)
    table[: len(colors)] = colors
    return table
