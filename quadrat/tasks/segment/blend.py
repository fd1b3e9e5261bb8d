r"""Blends overlapping tiles into one frame with weights that sum to 1 at every pixel, tile by tile in row order.

Along one axis, two neighbouring tiles and the weights of the left one (the right one's are 1 minus these):

    left tile   |------------------------------|
    right tile              |------------------------------|
    overlap                 |<----- o ------>|
    weight       1 1 1 1 1 1 1 1 \ . .  0 0 0 0 0
                            | h |<- zone ->| h |             h = o // 4: the halo

Within the halo, `o // 4` pixels from an inner border, a tile has weight 0: there the network saw a border that the
frame does not have. Between the halos its weight falls smoothly (smoothstep, 3 u^2 - 2 u^3). In two dimensions the
weights of the axes are multiplied. Values are blended as `a + w (b - a)`, so where tiles agree the result is exactly
that value, without rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW, Window

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Axis:
    """The pixels of one axis at which each tile has a weight over 0.

    Tile i has one in [begins[i], ends[i]), and shares its last `fades[i]` pixels with tile i + 1.
    """

    begins: tuple[int, ...]
    ends: tuple[int, ...]
    fades: tuple[int, ...]


def divide(starts: Sequence[int], size: int, side: int, *, soft: bool) -> Axis:
    """Divide an axis of `side` pixels among tiles of `size` pixels at `starts`, in ascending order.

    With `soft`, neighbours fade into each other; otherwise each pixel belongs to the tile in which it lies farthest
    from a border. At most two tiles share a pixel: if three overlap, the zones are narrowed. Raises ValueError if
    the tiles leave a gap or do not cover the axis.
    """
    begins, ends, fades = [0], [], []
    narrowest = min((b - a for a, b in pairwise(starts)), default=1) - 1
    for a, b in pairwise(starts):
        overlap = a + size - b
        if overlap < 0 or b <= a:
            raise ValueError(f"tiles of {size} pixels at {a} and {b} leave a gap or are out of order")
        zone = min(overlap - 2 * (overlap // 4), narrowest) if soft else 0
        begin = b + (overlap - zone) // 2
        begins.append(begin)
        ends.append(begin + zone)
        fades.append(zone)
    if starts[0] != 0 or starts[-1] + size != side:
        raise ValueError(f"tiles of {size} pixels at {list(starts)} do not cover {side} pixels")
    return Axis(tuple(begins), (*ends, side), (*fades, 0))


class Blend:
    """Blends the tiles of one frame; its memory is that of the zones along one row of tiles.

    `windows` are all tiles, row by row, in pixels of the frame of `hw` (height, width). With `soft`, scores are
    blended by `join`; without it, each pixel is of one tile, and `cut` returns the pixels of a tile. Raises
    ValueError if the windows are not a grid in row order.
    """

    def __init__(self, windows: Sequence[Window], hw: HW, *, soft: bool = True) -> None:
        tops, lefts = (sorted({getattr(w, name) for w in windows}) for name in ("top", "left"))
        height, width = windows[0].height, windows[0].width
        if list(windows) != [Window(top, left, height, width) for top in tops for left in lefts]:
            raise ValueError("the tiles are not a grid in row order")
        self.windows = windows
        self._columns = len(lefts)
        self._width = hw[1]
        self._rows = divide(tops, height, hw[0], soft=soft)
        self._across = divide(lefts, width, hw[1], soft=soft)
        self._left: NDArray[np.float32] | None = None
        self._above: NDArray[np.float32] | None = None

    def share(self, index: int) -> Window:
        """Return the pixels that are final once tile `index` is added; the shares of all tiles partition the frame."""
        (top, bottom, fade), (left, right, fade_x) = self._extent(index)
        return Window(top, left, bottom - fade - top, right - fade_x - left)

    def cut(self, index: int, planes: NDArray[T]) -> NDArray[T]:
        """Cut the share out of a tile's planes (..., h, w), for tiles that do not fade."""
        window, share = self.windows[index], self.share(index)
        top, left = share.top - window.top, share.left - window.left
        return planes[..., top : top + share.height, left : left + share.width]

    def join(self, index: int, scores: NDArray[np.floating]) -> NDArray[np.float32]:
        """Blend the finite scores (K, h, w) of tile `index`, which must be the next one.

        Returns the blended scores (K, share.height, share.width) float32 of its share.
        """
        window, share = self.windows[index], self.share(index)
        (top, bottom, fade), (left, right, fade_x) = self._extent(index)
        rows = slice(top - window.top, bottom - window.top)
        part = scores[:, rows, left - window.left : right - window.left].astype(np.float32)
        if self._left is not None and index % self._columns:
            _fade(self._left, part[:, :, : self._left.shape[2]], _weights(self._left.shape[2]))
        self._left = part[:, :, part.shape[2] - fade_x :].copy()
        part = part[:, :, : part.shape[2] - fade_x]
        columns = slice(share.left, share.left + share.width)
        if (zone := self._rows.fades[index // self._columns - 1]) and index >= self._columns:
            above = self._zones(len(scores))[:, :zone, columns]
            _fade(above, part[:, :zone], _weights(zone)[:, None])
        if fade:
            self._zones(len(scores))[:, :fade, columns] = part[:, -fade:]
        return part[:, : part.shape[1] - fade]

    def _extent(self, index: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Return begin, end and fade of a tile, down and across."""
        row, column = divmod(index, self._columns)
        down, across = self._rows, self._across
        return (
            (down.begins[row], down.ends[row], down.fades[row]),
            (across.begins[column], across.ends[column], across.fades[column]),
        )

    def _zones(self, channels: int) -> NDArray[np.float32]:
        """Return the scores (K, zone, width of the frame) float32 of the row above in the zone that it shares."""
        if self._above is None:
            self._above = np.empty((channels, max(self._rows.fades), self._width), np.float32)
        return self._above


def _weights(zone: int) -> NDArray[np.float32]:
    """Return the weights (zone,) of the later tile across a zone: 3 u^2 - 2 u^3 at the pixels' centres."""
    u = (np.arange(zone) + 0.5) / max(zone, 1)
    return (u * u * (3 - 2 * u)).astype(np.float32)


def _fade(earlier: NDArray[np.float32], later: NDArray[np.float32], weights: NDArray[np.float32]) -> None:
    """Blend two tiles' scores in place, in `later`; exact where they are equal."""
    later -= earlier
    later *= weights
    later += earlier
