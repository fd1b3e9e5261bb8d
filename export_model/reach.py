"""Find out by trying which sizes a network that makes pictures takes, and how far it sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import prepare, sizes
from export_model.network import F32, Shape
from quadrat.geometry import HW
from quadrat.package.enhance import EnhanceWords
from quadrat.tasks.enhance.picture import read_picture
from quadrat.tasks.enhance.reach import CHANGES, distance
from quadrat.tasks.enhance.tiles import Tiling, least_side, run_in_pieces

Run = Callable[[F32], NDArray[Any]]
"""Runs the network on a batch (N, C, h, w), and returns the output that holds the picture."""
SIDES = (64, 128, 256)
"""Sides of the inputs on which a reach is looked for. A larger one than about half of the last is not found."""
LEAST = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Multiples of the divisor that may be the least side."""
GRIDS = (1, 2, 4, 8, 16, 32)
"""Multiples of the divisor at which tiles may have to start."""
ROUNDING = 1e-5
"""Difference between a tile and the whole, as a share of the range, that can be an engine's rounding."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to try: its function, its input's shape (N, C, H, W) with None for open axes, and what is known of it."""

    run: Run
    shape: Shape
    words: EnhanceWords

    def picture(self, image: F32) -> F32:
        """Return the picture (K, H, W) that the network makes of an input (1, C, h, w). Raises GraphError for another shape."""
        given = self.run(image.repeat(self.shape[0] or 1, 0))[0]
        return read_picture(given, (image.shape[2], image.shape[3]), self.words)

    def noise(self, hw: HW, seed: int) -> F32:
        """Return a smooth picture with noise as the network takes it, (1, C, h, w)."""
        low, high = self.words.range
        return prepare.noise((1, self.words.channels, *hw), seed) * np.float32(high - low) + np.float32(low)

    def runs(self, hw: HW) -> bool:
        """Return True if the network makes a picture of the right size of an input of `hw`."""
        try:
            self.picture(self.noise(hw, 0))
        except Exception:  # noqa: BLE001 - whatever the runner raises, it does not run
            return False
        return True

    def fixed(self, side: int) -> HW:
        """Return the (height, width) of an input, with `side` where the network takes any."""
        return self.shape[2] or side, self.shape[3] or side


def find_multiple(subject: Subject) -> int | None:
    """Find the least number whose multiples the network takes as height and width; None if there is none."""
    for divisor in sizes.DIVISORS:
        low = max(1, 64 // divisor) | 1
        tried = [((low + a) * divisor, (low + b) * divisor) for a, b in ((0, 2), (4, 0))]
        if all(subject.runs(_with_fixed(subject.shape, hw)) for hw in tried):
            return divisor
    return None


def find_least(subject: Subject) -> int:
    """Find the least height and width of an input, a multiple of `multiple`."""
    step = subject.words.multiple
    return next(
        (step * times for times in LEAST if subject.runs(subject.fixed(step * times))), step * LEAST[-1]
    )


def find_reach(subject: Subject) -> EnhanceWords:
    """Return what is known of the network with its reach and the grid of its tiles.

    The reach is None if the network sees the whole input, or if tiles differ from the whole wherever they start.
    """
    unknown = replace(subject.words, reach=None, grid=subject.words.multiple)
    first = _probed(replace(subject, words=unknown))
    for times in GRIDS if first is not None else ():
        grid = times * unknown.multiple
        most = (first or 0) + grid - unknown.multiple
        words = replace(unknown, grid=grid, reach=most)
        if not _proven(replace(subject, words=words)):
            continue
        # the reach can differ within a cell of the grid; the largest counts
        words = replace(words, reach=first if times == 1 else _probed(replace(subject, words=words)))
        return words if words.reach is not None and _proven(replace(subject, words=words)) else unknown
    return unknown


def _with_fixed(shape: Shape, hw: HW) -> HW:
    return shape[2] or hw[0], shape[3] or hw[1]


def _probed(subject: Subject) -> int | None:
    """Return how far a change of a pixel is seen, in pixels of the input; None if it is seen at the border."""
    step = subject.words.grid
    for side in SIDES:
        around = max(subject.words.least, -(-side // step) * step)
        hw = subject.fixed(around)
        room = min(hw) // 2 - step
        reach = 0
        for seen in _distances(subject, hw):
            reach = max(reach, seen)
            if reach >= room:
                break
        if reach < room:
            return reach
        if subject.fixed(0) == subject.fixed(1):  # the size is fixed
            break
    return None


def _distances(subject: Subject, hw: HW) -> Iterator[int]:
    """Yield how far changes of pixels are seen: small and large ones, at several places in a cell of the grid."""
    grid = subject.words.grid
    offsets = sorted({0, 1, grid // 2, grid - 1} & set(range(max(2, grid))))
    images = [subject.noise(hw, seed) for seed in (0, 1)]
    usual = [subject.picture(image).copy() for image in images]
    for number, offset in enumerate(offsets):
        at = (hw[0] // 2 // grid * grid + offset, hw[1] // 2 // grid * grid + offset)
        for change in CHANGES:
            other = images[number % 2].copy()
            other[:, :, at[0], at[1]] += np.float32(change)
            yield distance(usual[number % 2], subject.picture(other), at, subject.words.scale)


def _proven(subject: Subject) -> bool:
    """Return True if tiles that start at multiples of the grid make the picture of the whole."""
    words = subject.words
    low, high = words.output_range
    if any(subject.shape[2:]):
        gap = _shifted(subject)
    else:
        side = -(-least_side(words) // words.grid) * words.grid
        hw = (3 * side, 3 * side + words.grid)
        image = subject.noise(hw, 3)

        def run(piece: F32) -> F32:
            return subject.picture(piece[None])

        tiling = Tiling((side, side), 2 * (words.reach or 0), words.grid, exact=True)
        gap = float(np.abs(run_in_pieces(image[0], tiling, words.scale, run) - subject.picture(image)).max())
    return gap <= ROUNDING * (high - low)


def _shifted(subject: Subject) -> float:
    """Return the largest difference between two windows of a picture, one grid apart, where both know all; infinity if nowhere."""
    words = subject.words
    height, width = hw = subject.fixed(2 * least_side(words))
    grid, margin = words.grid, (words.reach or 0) + words.grid
    if min(hw) <= 2 * margin + grid:
        return float("inf")
    image = subject.noise((height + grid, width + grid), 3)
    one = subject.picture(np.ascontiguousarray(image[:, :, :height, :width])).copy()
    two = subject.picture(np.ascontiguousarray(image[:, :, grid:, grid:]))
    scale = words.scale
    inner = one[
        :,
        (margin + grid) * scale : (height - margin) * scale,
        (margin + grid) * scale : (width - margin) * scale,
    ]
    other = two[
        :, margin * scale : (height - margin - grid) * scale, margin * scale : (width - margin - grid) * scale
    ]
    return float(np.abs(inner - other).max())
