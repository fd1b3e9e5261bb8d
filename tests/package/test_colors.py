from __future__ import annotations

from itertools import pairwise

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
