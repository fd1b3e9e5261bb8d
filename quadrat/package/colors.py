"""Default colours of classes, distinguishable by most colour-blind people as far as possible."""

from __future__ import annotations

import colorsys

RGB = tuple[int, int, int]

_OKABE_ITO: tuple[RGB, ...] = (
    (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115),
    (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
_TOL_MUTED: tuple[RGB, ...] = (
    (51, 34, 136), (136, 204, 238), (68, 170, 153), (17, 119, 51), (153, 153, 51),
    (221, 204, 119), (204, 102, 119), (136, 34, 85), (170, 68, 153),
)  # fmt: skip
_FIXED = _OKABE_ITO + _TOL_MUTED
_GOLDEN = 0.618033988749895
_SHADES = ((0.45, 0.95), (0.85, 0.55), (0.95, 0.85), (0.35, 0.70))


def default_color(index: int) -> RGB:
    """Return the (r, g, b) 0..255 of class `index` 0..254.

    The first eight are the palette of Okabe and Ito, the next nine the "muted" palette of Tol. No palette of more than 17
    colours is safe for colour-blind people, so further classes get hues a golden angle apart in four shades.
    """
    if index < len(_FIXED):
        return _FIXED[index]
    step = index - len(_FIXED)
    saturation, value = _SHADES[step % len(_SHADES)]
    r, g, b = colorsys.hsv_to_rgb(step * _GOLDEN % 1.0, saturation, value)
    return round(r * 255), round(g * 255), round(b * 255)
