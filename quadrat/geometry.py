"""Source pixels <-> tensor pixels: one affine map, composed forward and undone by sampling.

Coordinates are continuous and (x, y): pixel i of a row covers [i, i + 1). A resize is then a pure
scale and a pad a pure shift, whatever the interpolation does with pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

HW = tuple[int, int]
"""(height, width) in pixels, the order of array axes; (x, y) is the order of coordinates."""

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels: its upper left corner and its size."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """The first column to its right."""
        return self.left + self.width


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """How the upright source picture lies in the network's input.

    `source_hw` and `tensor_hw` are (height, width) in pixels; `matrix` (3, 3) float64 takes a
    column (x, y, 1) of source coordinates to tensor coordinates. Only scales and shifts occur.
    """

    source_hw: HW
    tensor_hw: HW
    matrix: NDArray[np.float64]

    @classmethod
    def identity(cls, hw: HW) -> Geometry:
        """Start at the upright source picture of `hw` (height, width)."""
        return cls(hw, hw, np.eye(3))

    def resized(self, hw: HW) -> Geometry:
        """Follow a resize of the whole tensor to `hw` (height, width)."""
        (old_h, old_w), (new_h, new_w) = self.tensor_hw, hw
        return Geometry(self.source_hw, hw, np.diag([new_w / old_w, new_h / old_h, 1.0]) @ self.matrix)

    def padded(self, hw: HW, *, top: int = 0, left: int = 0) -> Geometry:
        """Follow a pad to `hw` with `top` and `left` new pixels before the content."""
        shift = np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]])
        return Geometry(self.source_hw, hw, shift @ self.matrix)

    def cropped(self, window: Window) -> Geometry:
        """Follow a cut to `window`, which is in pixels of the present tensor."""
        shift = np.array([[1.0, 0.0, -window.left], [0.0, 1.0, -window.top], [0.0, 0.0, 1.0]])
        return Geometry(self.source_hw, (window.height, window.width), shift @ self.matrix)

    def to_tensor(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take points (N, 2) float64 (x, y) from source to tensor coordinates."""
        return points * np.diag(self.matrix)[:2] + self.matrix[:2, 2]

    def to_source(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take points (N, 2) float64 (x, y) from tensor to source coordinates."""
        return (points - self.matrix[:2, 2]) / np.diag(self.matrix)[:2]


def pull_back(plane: NDArray[T], geometry: Geometry, out_hw: HW) -> NDArray[T]:
    """Sample a tensor-sized plane (h, w) at the pixel centres of the source seen at `out_hw`.

    `out_hw` is (height, width) of the wanted result and spans the whole source picture, so
    padding is left out and any resize is undone by its nearest tensor pixel; where tensor and
    result pixels coincide the values are returned as they are. Works on labels and confidences
    alike, and never invents a class.
    """
    (out_h, out_w), (src_h, src_w) = out_hw, geometry.source_hw
    height, width = plane.shape[:2]
    centres_x = (np.arange(out_w) + 0.5) * (src_w / out_w)
    centres_y = (np.arange(out_h) + 0.5) * (src_h / out_h)
    columns = _nearest(centres_x * geometry.matrix[0, 0] + geometry.matrix[0, 2], width)
    rows = _nearest(centres_y * geometry.matrix[1, 1] + geometry.matrix[1, 2], height)
    if plane.shape[:2] == out_hw and _is_range(columns) and _is_range(rows):
        return plane
    return np.ascontiguousarray(plane[rows[:, None], columns[None, :]])


def _nearest(positions: NDArray[np.float64], size: int) -> NDArray[np.intp]:
    """Index of the pixel that each continuous position lies in, kept inside [0, size)."""
    return np.clip(np.floor(positions + 1e-9), 0, size - 1).astype(np.intp)


def _is_range(index: NDArray[np.intp]) -> bool:
    return bool((index == np.arange(index.size)).all())
