"""Plan the tiles of a picture."""

from __future__ import annotations

from quadrat.errors import ParameterError
from quadrat.geometry import HW, Window

MAX_TILES = 1_000_000
"""More tiles are refused: they would run for days, and usually mean an overlap too close to the tile size."""
GRID = 32
"""Stride of the coarsest layer of most segmentation networks, in pixels."""


def plan_masks(hw: HW, tile: int, overlap: int) -> tuple[Window, ...]:
    """Plan tiles as `plan` does, starting at multiples of GRID except for the last tile of a row or column.

    A strided network then sees the same grid in a tile as in the whole picture, and returns the same
    mask. If tiles would advance by less than twice GRID, the plan is that of `plan`.
    """
    return plan(hw, tile, overlap, grid=GRID if tile - overlap >= 2 * GRID else 1)


def plan(hw: HW, tile: int, overlap: int, *, grid: int = 1) -> tuple[Window, ...]:
    """Cover a picture of `hw` (height, width) with the fewest tiles of one size, row by row.

    `tile` is the side of a tile and `overlap` the minimum overlap of neighbours, both in pixels. Along an
    axis where the picture is not longer than a tile, there is one tile of the picture's length. Tiles are
    spread evenly: overlaps differ by at most `grid` pixels, the first and last tiles align with the
    picture's borders, and the others start at multiples of `grid`.
    Raises ParameterError for an overlap that is negative or not less than `tile`, for a picture without
    pixels, and for more than MAX_TILES tiles.
    """
    if tile < 1 or not 0 <= overlap < tile:
        raise ParameterError(
            f"tiles of {tile} pixels cannot overlap by {overlap}",
            where="tile-overlap",
            hint="Choose an overlap from 0 to well under tile-size",
        )
    if min(hw) < 1:
        raise ParameterError(f"a picture of {hw[1]} x {hw[0]} pixels has no tiles", where="tile-size")
    height, width = min(tile, hw[0]), min(tile, hw[1])
    lefts, tops = _starts(hw[1], width, overlap, grid), _starts(hw[0], height, overlap, grid)
    if len(lefts) * len(tops) > MAX_TILES:
        raise ParameterError(
            f"{len(lefts) * len(tops)} tiles of {tile} pixels that overlap by {overlap} are too many",
            where="tile-overlap",
            hint="Choose an overlap well under tile-size, or larger tiles",
        )
    return tuple(Window(top, left, height, width) for top in tops for left in lefts)


def _starts(side: int, size: int, overlap: int, grid: int) -> list[int]:
    """Return the first pixels of tiles of `size` along a side, evenly spread."""
    span = side - size
    if not span:
        return [0]
    steps = -(
        -span // (size - overlap - grid + 1)
    )  # rounding down to the grid must not reduce the overlap below `overlap`
    return [*(span * i // steps // grid * grid for i in range(steps)), span]
