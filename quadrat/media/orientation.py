"""How a video's frames are turned to be upright, as its display matrix says, in the words of EXIF."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

TURNS = {1: 0, 2: 0, 3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}
"""Degrees, clockwise, of each EXIF orientation."""


def orientation_of(raw: VideoFrame) -> int:
    """Give the EXIF orientation, 1 to 8, that a frame's display matrix asks for; slanted ones as the nearest.

    The matrix takes a stored point (x, y) to (a x + c y, b x + d y) on the screen, y pointing down.
    """
    side: Any = raw.side_data.get("DISPLAYMATRIX")
    if side is None:
        return 1
    a, b, _, c, d = struct.unpack("=9i", memoryview(side))[:5]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return {(False, False): 1, (True, False): 2, (True, True): 3, (False, True): 4}[a < 0, d < 0]
    return {(False, False): 5, (True, False): 6, (True, True): 7, (False, True): 8}[c < 0, b < 0]
