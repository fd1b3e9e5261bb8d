"""Where a picture is cut into tiles."""

from __future__ import annotations

from quadrat.errors import ParameterError
from quadrat.geometry import HW, Window


def plan(hw: HW, tile: int, overlap: int) -> tuple[Window, ...]:
    """Cover a picture of `hw` (height, width) with the fewest tiles of one size, row by row.

    `tile` is their side and `overlap` the least overlap of neighbours, both in pixels. Along an axis where
    the picture is no longer than a tile there is one tile of the picture's length. Neighbours overlap by
    equal amounts, at most a pixel more or less; the first and last tiles end where the picture does.
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
    lefts = _starts(hw[1], width, overlap)
    return tuple(
        Window(top, left, height, width) for top in _starts(hw[0], height, overlap) for left in lefts
    )


def _starts(side: int, size: int, overlap: int) -> list[int]:
    """First pixels of tiles of `size` along a side, evenly spread."""
    span = side - size
    steps = -(-span // (size - overlap)) if span else 0
    return [span * i // steps for i in range(steps + 1)] if steps else [0]
