"""The cells of a network's grids: every output row of an anchor-free detector belongs to one cell of one stride."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW

STRIDES: tuple[tuple[int, ...], ...] = (
    (8, 16, 32), (8, 16, 32, 64), (16, 32), (16, 32, 64), (8, 16, 32, 64, 128), (8, 16), (8,), (16,), (32,),
)  # fmt: skip
"""Strides that detectors have, the usual ones first."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The grids of a network: their strides, and the number of rows for each of their cells."""

    strides: tuple[int, ...]
    per_cell: int


def count_cells(hw: HW, strides: Sequence[int]) -> int:
    """Count the cells of an input of (height, width) pixels; a part of a cell at the border counts."""
    return sum(-(-hw[0] // stride) * -(-hw[1] // stride) for stride in strides)


def find_grid(rows: int | None, hw: HW | None, per_cell: Sequence[int] = (1, 2, 3)) -> Grid | None:
    """Return the grid whose number of rows fits an input of (height, width), or None."""
    if rows is None or hw is None:
        return None
    for strides in STRIDES:
        cells = count_cells(hw, strides)
        for each in per_cell:
            if rows == cells * each:
                return Grid(strides, each)
    return None


@lru_cache(maxsize=32)
def cells_of(hw: HW, strides: tuple[int, ...], per_cell: int = 1) -> tuple[NDArray[np.float32], ...]:
    """Return the column and row (A, 2) of each cell, and its stride (A, 1), both float32, row by row, stride by stride.

    Each cell is repeated `per_cell` times. The arrays are shared: do not write to them.
    """
    places, sizes = [], []
    for stride in strides:
        height, width = -(-hw[0] // stride), -(-hw[1] // stride)
        y, x = np.mgrid[:height, :width]
        places.append(np.stack([x, y], axis=-1).reshape(-1, 2).repeat(per_cell, axis=0))
        sizes.append(np.full((height * width * per_cell, 1), stride))
    given = np.concatenate(places).astype(np.float32), np.concatenate(sizes).astype(np.float32)
    for array in given:
        array.setflags(write=False)
    return given
