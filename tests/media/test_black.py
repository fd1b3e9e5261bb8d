"""Which frames are black."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.media.black import MAX_BLACK, MAX_SPREAD, is_black
from tests.videos import frame


@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(0, MAX_BLACK - MAX_SPREAD // 2), st.integers(0, 99)
)
def test_dark_noise_is_black(height: int, width: int, base: int, seed: int) -> None:
    """Sensor noise over black is black, whether black is 0 or 16, at every size."""
    noise = np.random.default_rng(seed).integers(0, MAX_SPREAD // 2, (height, width, 3), np.uint8)
    assert is_black(noise + np.uint8(base))


@given(st.integers(1, 70), st.integers(1, 70), st.data())
def test_one_lit_value_is_seen(height: int, width: int, data: st.DataObject) -> None:
    """A single bright value anywhere makes a frame not black."""
    pixels = np.zeros((height, width, 3), np.uint8)
    at = [data.draw(st.integers(0, size - 1)) for size in pixels.shape]
    pixels[tuple(at)] = data.draw(st.integers(MAX_BLACK + 1, 255))
    assert not is_black(pixels)


@pytest.mark.parametrize(("value", "black"), [(0, True), (16, True), (24, True), (25, False), (255, False)])
def test_flat_frames(value: int, black: bool) -> None:
    """A uniform frame is black up to the limit."""
    assert is_black(np.full((48, 64, 3), value, np.uint8)) is black


@pytest.mark.parametrize("base", [0, MAX_BLACK - MAX_SPREAD])
def test_the_largest_spread_of_a_black_frame(base: int) -> None:
    """Values may differ by MAX_SPREAD, and by no more."""
    pixels = np.full((48, 64, 3), base, np.uint8)
    pixels[3, 5, 1] = base + MAX_SPREAD
    assert is_black(pixels)
    pixels[3, 5, 1] += 1
    assert not is_black(pixels)


def test_a_dim_scene_is_no_black_frame() -> None:
    """A dark scene with contrast is not black, nor is an ordinary frame, even as a non-contiguous view."""
    dim = np.zeros((48, 64, 3), np.uint8)
    dim[10:20, 10:20] = MAX_SPREAD + 1
    assert not is_black(dim)
    assert not is_black(frame(3))
    assert is_black(np.zeros((48, 64, 3), np.uint8)[::2, ::2])
