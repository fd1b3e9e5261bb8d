"""Padding by reflection, and luma."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from quadrat.errors import ImageSizeError
from quadrat.geometry import Geometry
from quadrat.transforms import build
from quadrat.types import TransformSpec


def padded(pixels: np.ndarray, **params: int) -> tuple[np.ndarray, Geometry]:
    """Run ReflectPadding alone; the tensor is channels first."""
    return build([TransformSpec("ReflectPadding", params)])(pixels, Geometry.identity(pixels.shape[:2]))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 16), st.integers(1, 32))
def test_it_is_numpys_reflection(height, width, divisor, least):
    """The picture is in the upper left corner; sides are multiples, and at least `least`."""
    pixels = np.random.default_rng(height * 41 + width).integers(0, 256, (height, width, 3), np.uint8)
    found, geometry = padded(pixels, divisor=divisor, least=least)
    new = found.shape[1:]
    assert all(
        side % divisor == 0 and side >= max(least, old)
        for side, old in zip(new, (height, width), strict=True)
    )
    assert all(side - divisor < max(least, old) for side, old in zip(new, (height, width), strict=True))
    more = [(0, side - old) for side, old in zip(new, (height, width), strict=True)]
    assert np.array_equal(found.transpose(1, 2, 0), np.pad(pixels, (*more, (0, 0)), "reflect"))
    assert geometry.tensor_hw == new
    assert np.array_equal(geometry.matrix, np.eye(3))


def test_a_fixed_size():
    """One or both sides can be fixed; a picture that is larger does not fit."""
    assert padded(np.zeros((5, 7, 3), np.uint8), height=9, width=8)[0].shape == (3, 9, 8)
    assert padded(np.zeros((5, 7, 3), np.uint8), height=9, divisor=4)[0].shape == (3, 9, 8)
    with pytest.raises(ImageSizeError, match="10 x 5 pixels do not fit"):
        padded(np.zeros((5, 10, 3), np.uint8), height=9, width=8)


def test_luma_is_that_of_jpeg():
    """Pillow's Y, with the fraction that Pillow cuts off."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    found, _ = build([TransformSpec("ToY", {})])(pixels, Geometry.identity((30, 40)))
    theirs = np.asarray(Image.fromarray(pixels).convert("YCbCr"))[..., 0]
    assert found.shape == (1, 30, 40)
    assert -0.02 <= (found[0] - theirs).min()
    assert (found[0] - theirs).max() <= 1.02
