"""Convert a video's display matrix to an EXIF orientation."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

ROTATIONS = {1: 0, 2: 0, 3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
"""Clockwise rotation in degrees for each EXIF orientation."""


def orientation_of(raw: VideoFrame) -> int:
    """Return the EXIF orientation, 1 to 8, nearest to a frame's display matrix; 1 without one.

    The matrix maps a stored point (x, y) to (a x + c y, b x + d y) on the screen; y points down.
    """
    side: Any = raw.side_data.get("DISPLAYMATRIX")
    if side is None:
        return 1
    a, b, _, c, d = struct.unpack("=9i", memoryview(side))[:5]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return {(False, False): 1, (True, False): 2, (True, True): 3, (False, True): 4}[a < 0, d < 0]
    return {(False, False): 5, (True, False): 6, (True, True): 7, (False, True): 8}[c < 0, b < 0]
