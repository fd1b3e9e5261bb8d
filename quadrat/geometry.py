"""Map source pixels to tensor pixels and back: one affine matrix, composed forward and inverted by sampling.

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
        """Row after the last one."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """Column after the last one."""
        return self.left + self.width


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Position of the upright source picture in the network's input.

    `source_hw` and `tensor_hw` are (height, width) in pixels; `matrix` (3, 3) float64 maps a
    column (x, y, 1) of source coordinates to tensor coordinates. It holds scales and shifts only.
    """

    source_hw: HW
    tensor_hw: HW
    matrix: NDArray[np.float64]

    @classmethod
    def identity(cls, hw: HW) -> Geometry:
        """Return the identity for an upright source picture of `hw` (height, width)."""
        return cls(hw, hw, np.eye(3))

    def resized(self, hw: HW) -> Geometry:
        """Return the geometry after the whole tensor is resized to `hw` (height, width)."""
        (old_h, old_w), (new_h, new_w) = self.tensor_hw, hw
        return Geometry(self.source_hw, hw, np.diag([new_w / old_w, new_h / old_h, 1.0]) @ self.matrix)

    def padded(self, hw: HW, *, top: int = 0, left: int = 0) -> Geometry:
        """Return the geometry after padding to `hw`, with `top` and `left` new pixels before the content."""
        shift = np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]])
        return Geometry(self.source_hw, hw, shift @ self.matrix)

    def cropped(self, window: Window) -> Geometry:
        """Return the geometry after cropping to `window`, in pixels of the current tensor."""
        shift = np.array([[1.0, 0.0, -window.left], [0.0, 1.0, -window.top], [0.0, 0.0, 1.0]])
        return Geometry(self.source_hw, (window.height, window.width), shift @ self.matrix)

    def to_tensor(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (N, 2) float64 (x, y) from source to tensor coordinates."""
        return points * np.diag(self.matrix)[:2] + self.matrix[:2, 2]

    def to_source(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (N, 2) float64 (x, y) from tensor to source coordinates."""
        return (points - self.matrix[:2, 2]) / np.diag(self.matrix)[:2]


def pull_back(plane: NDArray[T], geometry: Geometry, out_hw: HW) -> NDArray[T]:
    """Resample a tensor-sized plane (h, w) to the source picture, at `out_hw` (height, width).

    The result spans the whole source picture: padding is dropped, and each result pixel takes the
    value of the tensor pixel under its centre (nearest neighbour). Where tensor and result pixels
    coincide, `plane` itself is returned. Works for labels and confidences alike: it introduces no
    new values.
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
    """Return the index of the pixel that contains each continuous position, clipped to [0, size)."""
    return np.clip(np.floor(positions + 1e-9), 0, size - 1).astype(np.intp)


def _is_range(index: NDArray[np.intp]) -> bool:
    return bool((index == np.arange(index.size)).all())
