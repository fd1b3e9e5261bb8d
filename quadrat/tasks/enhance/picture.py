"""Parts of one frame -> the picture that a network makes of it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.errors import EngineRunError, GraphError
from quadrat.geometry import HW, Window
from quadrat.media.scratch import scratch
from quadrat.package.enhance import EnhanceWords
from quadrat.predictions import Enhanced
from quadrat.tasks.enhance.tiles import Tiling, scaled
from quadrat.tasks.parts import ReceivedParts
from quadrat.tasks.segment.blend import Blend
from quadrat.types import Frame, ImageU8, Part

_ROWS = 256
"""Rows of the frame that get colours at a time."""


class PictureFold:
    """Joins the tiles of a frame: by taking each pixel from the tile that knows it, or by fading tiles into each other.

    Memory beyond the picture is one row of overlaps and the tiles that arrive early; a large picture is on disk.
    """

    def __init__(self, frame: Frame, output: str, words: EnhanceWords, tiling: Tiling) -> None:
        self._frame, self._output, self._words = frame, output, words
        self._hw: HW = (frame.pixels.shape[0], frame.pixels.shape[1])
        whole = tiling.is_whole(self._hw)
        tiles = () if whole else tiling.windows(self._hw)
        self.windows: tuple[Window | None, ...] = (None,) if whole else tiles
        self._soft = not tiling.exact
        self._blend = self._made_blend(tiles or (Window(0, 0, *self._hw),))
        self._received = ReceivedParts(frame.key, len(self.windows))
        self._early: dict[int, NDArray[Any]] = {}
        self._next = 0
        self._levels: NDArray[np.uint8] | None = None

    def add(self, number: int, part: Part) -> None:
        """Add a tile, and write all tiles whose turn it is.

        Raises GraphError if an output has not the shape that the archive states, EngineRunError for NaN.
        """
        self._received.mark(number)
        planes = read_picture(part.arrays[self._output], part.geometry.tensor_hw, self._words)
        if not np.isfinite(planes).all():
            raise EngineRunError("the network gives NaN or infinity", where=self._frame.key.source)
        window = self._blend.windows[number]
        planes = planes[:, : window.height, : window.width]  # without padding
        if not self._soft:
            self._write(number, self._blend.cut(number, planes))
            return
        self._early[number] = planes
        while self._next in self._early:
            self._write(self._next, self._blend.join(self._next, self._early.pop(self._next)))
            self._next += 1

    def finish(self) -> Enhanced:
        """Return the picture, `scale` times as large as the frame at working size."""
        self._received.check_complete()
        levels = self._levels
        if levels is None:
            raise RuntimeError("the frame has no parts")
        if self._words.order == "Y":
            levels = _colored(levels[..., 0], self._frame.pixels, self._words.scale)
        return Enhanced(levels)

    def _made_blend(self, tiles: tuple[Window, ...]) -> Blend:
        scale = self._words.scale
        larger = [scaled(window, scale) for window in tiles]
        return Blend(larger, (self._hw[0] * scale, self._hw[1] * scale), soft=self._soft)

    def _write(self, index: int, planes: NDArray[Any]) -> None:
        """Write the pixels (K, h, w) that no later tile changes."""
        if self._levels is None:
            height, width = (side * self._words.scale for side in self._hw)
            self._levels = scratch((height, width, self._words.channels), np.uint8)
        share = self._blend.share(index)
        levels = to_levels(planes, self._words)
        self._levels[share.top : share.bottom, share.left : share.right] = levels


def read_picture(array: NDArray[Any], hw: HW, words: EnhanceWords) -> NDArray[np.float32]:
    """Return an output for an input of `hw` as planes (K, scale h, scale w) float32 in the network's range.

    Raises GraphError if it has another shape.
    """
    wanted = (words.channels, hw[0] * words.scale, hw[1] * words.scale)
    planes = array.transpose(2, 0, 1) if words.layout == "NHWC" and array.ndim == 3 else array
    if planes.shape != wanted:
        raise GraphError(
            f"for an input of {hw[1]} x {hw[0]} pixels the network gives the shape {array.shape}, which is not a picture "
            f"of {words.channels} channels and {wanted[2]} x {wanted[1]} pixels", where="meta.json: enhance",
            hint="Export the network again",
        )  # fmt: skip
    result: NDArray[np.float32] = planes.astype(np.float32, copy=False)
    return result


def to_levels(planes: NDArray[Any], words: EnhanceWords) -> NDArray[np.uint8]:
    """Convert planes (K, h, w) in the network's range to (h, w, K) uint8 in RGB order, or Y; values outside are clipped."""
    low, high = words.output_range
    values = planes.astype(np.float32)
    if low:
        values -= np.float32(low)
    if (low, high) != (0, 255):
        values *= np.float32(255 / (high - low))
    np.rint(np.clip(values, 0, 255, out=values), out=values)
    levels = values.astype(np.uint8).transpose(1, 2, 0)
    return levels[..., ::-1] if words.order == "BGR" else levels


def _colored(luma: NDArray[np.uint8], pixels: ImageU8, scale: int) -> NDArray[np.uint8]:
    """Return RGB (H, W, 3) of luma (H, W) and the chroma of a smaller picture, scaled by bicubic interpolation.

    It works in bands of the frame's rows, whose place does not depend on tiles.
    """
    height, width = pixels.shape[:2]
    out: NDArray[np.uint8] = scratch((*luma.shape, 3), np.uint8)
    for top in range(0, height, _ROWS):
        bottom = min(height, top + _ROWS)
        first, last = (
            max(0, top - 4),
            min(height, bottom + 4),
        )  # bicubic interpolation sees two rows on each side
        chroma = cv2.cvtColor(np.ascontiguousarray(pixels[first:last]), cv2.COLOR_RGB2YCrCb)
        size = (width * scale, (last - first) * scale)
        large = cv2.resize(chroma, size, interpolation=cv2.INTER_CUBIC)
        band = large[(top - first) * scale : (bottom - first) * scale]
        band[..., 0] = luma[top * scale : bottom * scale]
        cv2.cvtColor(band, cv2.COLOR_YCrCb2RGB, dst=out[top * scale : bottom * scale])
    return out
