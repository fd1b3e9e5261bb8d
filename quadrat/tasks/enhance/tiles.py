"""Plan the tiles of a network that makes pictures, and run a tile in smaller pieces if memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import EngineMemoryError, ParameterError
from quadrat.geometry import HW, Window
from quadrat.package.enhance import EnhanceWords
from quadrat.parameters import TileSettings
from quadrat.tasks.segment.blend import Blend
from quadrat.transforms.tiles import plan

USUAL_TILE = 512
"""Side of a tile in pixels if neither the network nor tile-size gives one."""

Run = Callable[[NDArray[np.float32]], Mapping[str, NDArray[Any]]]
"""Runs the network on one input (C, h, w), and returns its outputs by name without the batch axis."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """The tiles of one network: their largest (height, width), minimum `overlap`, and the `grid` of their starts.

    With `exact`, each pixel of the result is that of the whole picture: it is taken from a tile that holds all input
    that it depends on. Otherwise, neighbouring tiles fade into each other. With `even`, tiles are only as large as
    their number needs, so that little is computed twice.
    """

    size: HW
    overlap: int
    grid: int
    exact: bool
    even: bool = False

    def windows(self, hw: HW) -> tuple[Window, ...]:
        """Cover a picture of `hw` (height, width) with tiles of one size, row by row.

        The first and last tiles end at the picture's borders. All start at multiples of `grid`. Raises
        ParameterError if there are too many.
        """
        (tops, height), (lefts, width) = (self._axis(hw[axis], self.size[axis]) for axis in (0, 1))
        return tuple(Window(top, left, height, width) for top in tops for left in lefts)

    def is_whole(self, hw: HW) -> bool:
        """Return True if a picture of `hw` is one tile."""
        return hw[0] <= self.size[0] and hw[1] <= self.size[1]

    def _axis(self, side: int, tile: int) -> tuple[list[int], int]:
        """Return the starts of the tiles along an axis, and their size.

        The last tile ends at the border, so its start is a multiple of `grid` if size and side leave the same rest.
        """
        size = side if side <= tile else tile - (tile - side) % self.grid
        if side <= size:
            return [0], side
        starts = self._starts(side, size)
        if not self.even:
            return starts, size
        overlap = self.overlap + self.grid - 1  # what rounding to the grid can cost
        wanted = -(-(side + (len(starts) - 1) * overlap) // len(starts))
        size = min(size, max(wanted, self.overlap + 3 * self.grid))
        size += (side - size) % self.grid
        return self._starts(side, size), size

    def _starts(self, side: int, size: int) -> list[int]:
        return [window.top for window in plan((side, 1), size, self.overlap, grid=self.grid)]


def tiling_of(words: EnhanceWords, fixed: tuple[int | None, ...], tiles: TileSettings, name: str) -> Tiling:
    """Return the tiling of a network; `fixed` are the (height, width) of its input, None where it takes any.

    Raises ParameterError for a tile-size that the network does not have, or that is too small to be exact.
    """
    margin, least = words.reach or 0, least_side(words)
    given = tiles.tile_size
    own = [side for side in fixed if side]
    if given and own and any(side != given for side in own):
        raise ParameterError(
            f"the network {name!r} takes tiles of {fixed[1] or 'any'} x {fixed[0] or 'any'} pixels only",
            where="tile-size", hint="Leave --tile-size out",
        )  # fmt: skip
    if given and not own and given < least:
        raise ParameterError(
            f"tiles of {given} pixels are too small for the network {name!r}", where="tile-size",
            hint=f"Give at least {least}, or leave --tile-size out",
        )  # fmt: skip
    usual = given or max(USUAL_TILE, 2 * least)
    size = (fixed[0] or usual, fixed[1] or usual)
    exact = words.reach is not None and min(size) >= least
    if exact:
        return Tiling(size, 2 * margin, words.grid, exact=True, even=not own)
    overlap = tiles.overlap if given else min(size) // 5
    return Tiling(size, max(0, min(overlap, min(size) - 3 * words.grid)), words.grid, exact=False)


def least_side(words: EnhanceWords) -> int:
    """Return the least side of a tile: behind the overlap, it advances by a step of the grid, wherever it starts."""
    return max(2 * (words.reach or 0), words.least) + 3 * words.grid


def run_in_pieces(
    tensor: NDArray[np.float32],
    tiling: Tiling,
    scale: int,
    run: Callable[[NDArray[np.float32]], NDArray[Any]],
) -> NDArray[np.float32]:
    """Run a network on pieces of one input (C, h, w), and return its output (K, scale h, scale w) for the whole.

    `tiling` is exact, so the output is that of one run.
    """
    hw: HW = (tensor.shape[1], tensor.shape[2])
    windows = tiling.windows(hw)
    blend = Blend([scaled(each, scale) for each in windows], (hw[0] * scale, hw[1] * scale), soft=False)
    out: NDArray[np.float32] | None = None
    for index, window in enumerate(windows):
        piece = tensor[:, window.top : window.bottom, window.left : window.right]
        found = run(np.ascontiguousarray(piece))
        if out is None:
            out = np.empty((len(found), hw[0] * scale, hw[1] * scale), np.float32)
        share = blend.share(index)
        out[:, share.top : share.bottom, share.left : share.right] = blend.cut(index, found)
    if out is None:
        raise EngineMemoryError("there is not enough memory for a tile")
    return out


def scaled(window: Window, scale: int) -> Window:
    """Return a window in pixels of a picture that is `scale` times as large."""
    return Window(window.top * scale, window.left * scale, window.height * scale, window.width * scale)
