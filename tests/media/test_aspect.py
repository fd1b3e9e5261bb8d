"""Frames with pixels that are not square get the shape at which players show them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.media.aspect import MAX_ASPECT, display_hw
from quadrat.media.container import MAX_VIDEO_PIXELS

SIDES = st.tuples(st.integers(16, 2160), st.integers(16, 4096))


@given(SIDES, st.fractions(Fraction(1, MAX_ASPECT), MAX_ASPECT, max_denominator=255))
def test_no_pixel_is_lost(hw: tuple[int, int], aspect: Fraction) -> None:
    """One side stays and the other grows, until the frame has its shape to half a pixel."""
    shown = display_hw(hw, aspect)
    if shown is None:
        assert hw[0] * hw[1] * max(aspect, 1 / aspect) > MAX_VIDEO_PIXELS / 1.01
        return
    assert shown[0] >= hw[0]
    assert shown[1] >= hw[1]
    assert shown[0] == hw[0] or shown[1] == hw[1]
    if abs(aspect - 1) >= 0.01:
        assert shown[1] / shown[0] == pytest.approx(float(hw[1] * aspect / hw[0]), rel=0.5 / min(hw))


@pytest.mark.parametrize(
    ("hw", "aspect", "shown"),
    [
        ((576, 720), Fraction(16, 15), (576, 768)),
        ((480, 720), Fraction(8, 9), (540, 720)),
        ((1080, 1440), Fraction(4, 3), (1080, 1920)),
        ((1080, 1920), Fraction(1, 1), (1080, 1920)),
        ((1080, 1920), None, (1080, 1920)),
        ((1080, 1920), Fraction(0), (1080, 1920)),
        ((1080, 1920), Fraction(1000, 1001), (1080, 1920)),
        ((1080, 1920), Fraction(40), None),
        ((1080, 1920), Fraction(1, 40), None),
        ((4320, 7680), Fraction(4, 3), None),
    ],
)
def test_common_formats(hw: tuple[int, int], aspect: Fraction | None, shown: tuple[int, int] | None) -> None:
    """The sizes of common formats; an absurd aspect, or one that makes too large a frame, gives none."""
    assert display_hw(hw, aspect) == shown
