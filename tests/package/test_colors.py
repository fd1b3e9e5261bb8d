from __future__ import annotations

import colorsys
from itertools import pairwise

import pytest

from quadrat.package.colors import default_color

PALETTE = tuple(default_color(index) for index in range(255))


def test_every_class_has_a_colour_of_its_own():
    """All 255 colours differ and are bytes; the first eight are Okabe and Ito's."""
    assert 255 == len(PALETTE) == len(set(PALETTE))
    assert all(0 <= channel <= 255 for color in PALETTE for channel in color)
    assert (0, 158, 115) == default_color(3) == PALETTE[3]


def test_neighbours_are_far_apart():
    """Classes next to each other in the list never look alike."""
    far = [max(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in pairwise(PALETTE)]

    assert min(far) >= 40


def test_colours_are_those_of_the_palettes():
    """First Okabe and Ito's eight, then Tol's nine, then hues a golden angle apart in four shades."""
    assert [(0, 0, 0), (204, 121, 167), (51, 34, 136), (170, 68, 153)] == [PALETTE[n] for n in (0, 7, 8, 16)]
    shades = [(0.45, 0.95), (0.85, 0.55), (0.95, 0.85), (0.35, 0.70)]
    for index in range(17, 255):
        hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in PALETTE[index]))
        expected = shades[(index - 17) % 4]
        assert (saturation, value) == pytest.approx(expected, abs=0.01)
        assert abs((hue - (index - 17) * 0.618034 + 0.5) % 1.0 - 0.5) < 0.01
