"""Properties of the working size."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.media.size import working_hw

SIDES = st.integers(1, 20_000)


@given(SIDES, SIDES, st.integers(1, 10**7))
def test_the_limit_holds_and_nothing_vanishes(height: int, width: int, limit: int) -> None:
    """The working size has at most the limit's pixels, no side of 0, and is not larger than the source."""
    small_h, small_w = working_hw((height, width), limit)
    assert 1 <= small_h <= height
    assert 1 <= small_w <= width
    assert small_h * small_w <= limit


@given(SIDES, SIDES, st.integers(1, 10**12))
def test_small_pictures_stay_and_no_limit_means_none(height: int, width: int, limit: int) -> None:
    """A picture within the limit, and any picture without one, keeps its size."""
    assert working_hw((height, width), -1) == (height, width)
    assert working_hw((height, width), max(limit, height * width)) == (height, width)


@given(SIDES, SIDES, st.integers(1, 10**7))
def test_a_turned_picture_has_a_turned_size(height: int, width: int, limit: int) -> None:
    """A picture in portrait and in landscape has the same working size, transposed."""
    assert working_hw((height, width), limit) == working_hw((width, height), limit)[::-1]


@given(st.integers(100, 20_000), st.integers(100, 20_000), st.integers(100_000, 10**7))
def test_the_size_is_the_originals(height: int, width: int, limit: int) -> None:
    """Both sides are scaled by sqrt(limit / pixels) and rounded down."""
    if height * width <= limit:
        return
    scale = math.sqrt(limit / (width * height))
    assert working_hw((height, width), limit) == (int(scale * height), int(scale * width))


@pytest.mark.parametrize(
    ("hw", "limit", "wanted"),
    [((2048, 2560), 1_000_000, (894, 1118)), ((3000, 4000), 1_000_000, (866, 1154)), ((9, 9), 1, (1, 1)),
     ((20_000, 1), 100, (100, 1)), ((1, 20_000), 100, (1, 100))],
)  # fmt: skip
def test_known_sizes(hw: tuple[int, int], limit: int, wanted: tuple[int, int]) -> None:
    """The sizes equal the original's for its example photographs, and fit for very narrow pictures."""
    assert working_hw(hw, limit) == wanted
