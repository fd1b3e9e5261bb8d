"""Where a picture is cut into tiles."""

from __future__ import annotations

from quadrat.errors import ParameterError
from quadrat.geometry import HW, Window

MOST_TILES = 1_000_000
"""More are refused: they would run for days, and are an overlap close to the tile's size rather than a wish."""
GRID = 32
"""Stride of the coarsest layer of most networks for masks, in pixels."""


def plan_masks(hw: HW, tile: int, overlap: int) -> tuple[Window, ...]:
    """Cover a picture as `plan` does, with tiles that begin at multiples of GRID, the last of a row excepted.

    A network with strides then sees the same grid in a tile as in the whole picture, and gives the same
    mask. Tiles whose step is under twice GRID stay as `plan` has them.
    """
    return plan(hw, tile, overlap, grid=GRID if tile - overlap >= 2 * GRID else 1)


def plan(hw: HW, tile: int, overlap: int, *, grid: int = 1) -> tuple[Window, ...]:
    """Cover a picture of `hw` (height, width) with the fewest tiles of one size, row by row.

    `tile` is their side and `overlap` the least overlap of neighbours, both in pixels. Along an axis where
    the picture is no longer than a tile there is one tile of the picture's length. Neighbours overlap by
    equal amounts, at most `grid` pixels more or less; the first and last tiles end where the picture does,
    and the others begin at a multiple of `grid`.
    Raises ParameterError for an overlap that is negative or not under `tile`, and a picture without pixels.
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
    if len(lefts) * len(tops) > MOST_TILES:
        raise ParameterError(
            f"{len(lefts) * len(tops)} tiles of {tile} pixels that overlap by {overlap} are too many",
            where="tile-overlap",
            hint="Choose an overlap well under tile-size, or larger tiles",
        )
    return tuple(Window(top, left, height, width) for top in tops for left in lefts)


def _starts(side: int, size: int, overlap: int, grid: int) -> list[int]:
    """First pixels of tiles of `size` along a side, evenly spread."""
    span = side - size
    if not span:
        return [0]
    steps = -(-span // (size - overlap - grid + 1))  # moved back to the grid, two still overlap as asked
    return [*(span * i // steps // grid * grid for i in range(steps)), span]
