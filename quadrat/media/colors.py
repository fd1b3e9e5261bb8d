"""Which numbers of a video are which colours: matrix and range, when tagged and when not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from av.video.reformatter import VideoReformatter

from quadrat.geometry import HW
from quadrat.types import ImageU8

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

BT709, BT601 = 1, 5
"""Matrices by swscale's numbers; a stream's tag has the same for BT.709, and 5 or 6 for BT.601."""
LIMITED, FULL = 1, 2
_OF_TAG = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_HD_WIDTH, _HD_HEIGHT = 1280, 720


def usual_matrix(hw: HW) -> int:
    """Give the matrix of a video that states none, as players do: BT.709 from 720p on, BT.601 below."""
    return BT709 if max(hw) >= _HD_WIDTH or min(hw) >= _HD_HEIGHT else BT601


def to_rgb(frame: VideoFrame, reformatter: VideoReformatter | None = None) -> ImageU8:
    """Convert a decoded frame to (H, W, 3) uint8 RGB, C-contiguous, by its own tags, else by custom.

    A `reformatter` kept for all frames of a reader saves setting up swscale's tables for each. swscale converts, as
    it knows every matrix and range: within 3 levels of the formula, on average one too dark. OpenCV's own
    conversion is BT.601 of limited range only, up to 33 levels off on BT.709, and no faster.
    """
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    matrix = _OF_TAG.get(int(frame.colorspace)) or usual_matrix((frame.height, frame.width))
    converted = (reformatter or VideoReformatter()).reformat(
        frame,
        format="rgb24",
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=FULL if full else LIMITED,
        dst_color_range=FULL,
    )
    plane = converted.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    # A copy costs less than it saves: FFmpeg's buffer is used again, numpy's large pages are not cleared one by one.
    return rows[: frame.height, : frame.width * 3].copy().reshape(frame.height, frame.width, 3)
