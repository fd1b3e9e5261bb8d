"""Properties of the map between source and tensor pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quadrat.geometry import Geometry, pull_back

SIDES = st.integers(1, 60)
SIZES = st.tuples(SIDES, SIDES)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Generate up to five resizes and pads of a small picture, in any order."""
    geometry = Geometry.identity(draw(SIZES))
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            geometry = geometry.resized(draw(SIZES))
        else:
            top, left, bottom, right = (draw(st.integers(0, 9)) for _ in range(4))
            height, width = geometry.tensor_hw
            geometry = geometry.padded((height + top + bottom, width + left + right), top=top, left=left)
    return geometry


@given(geometries(), st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), min_size=1, max_size=9))
def test_to_source_undoes_to_tensor(geometry: Geometry, points: list[tuple[float, float]]) -> None:
    """to_source(to_tensor(p)) == p for every chain of resizes and pads."""
    given_points = np.array(points, np.float64)
    np.testing.assert_allclose(geometry.to_source(geometry.to_tensor(given_points)), given_points, atol=1e-6)


@given(geometries())
def test_the_source_lies_inside_the_tensor(geometry: Geometry) -> None:
    """The picture's corners map into the tensor, so the network has seen every pixel."""
    height, width = geometry.source_hw
    corners = geometry.to_tensor(np.array([[0, 0], [width, height]], np.float64))
    assert (corners >= -1e-6).all()
    assert (corners <= np.array(geometry.tensor_hw)[::-1] + 1e-6).all()


@given(SIZES)
def test_identity_returns_the_same_plane(hw: tuple[int, int]) -> None:
    """Where tensor and result pixels coincide, the plane itself is returned."""
    plane = np.arange(hw[0] * hw[1], dtype=np.uint16).reshape(hw)
    assert pull_back(plane, Geometry.identity(hw), hw) is plane


@given(SIZES, SIZES)
def test_a_resize_to_the_wanted_size_returns_the_plane(
    source: tuple[int, int], tensor: tuple[int, int]
) -> None:
    """A result of the tensor's own size is the tensor's plane, whatever the source size."""
    plane = np.arange(tensor[0] * tensor[1], dtype=np.uint16).reshape(tensor)
    assert pull_back(plane, Geometry.identity(source).resized(tensor), tensor) is plane


@given(SIZES, st.integers(1, 7), st.integers(1, 7))
def test_a_whole_magnification_is_undone_exactly(hw: tuple[int, int], down: int, across: int) -> None:
    """A plane enlarged by whole factors returns to the original."""
    plane = np.arange(hw[0] * hw[1], dtype=np.uint16).reshape(hw)
    large = plane.repeat(down, axis=0).repeat(across, axis=1)
    np.testing.assert_array_equal(pull_back(large, Geometry.identity(hw).resized(large.shape), hw), plane)


@given(SIZES, st.tuples(*[st.integers(0, 9)] * 4))
def test_a_pad_is_undone_exactly(hw: tuple[int, int], border: tuple[int, int, int, int]) -> None:
    """Pulling back a padded plane returns the plane, whichever sides were padded."""
    top, bottom, left, right = border
    plane = np.arange(hw[0] * hw[1], dtype=np.uint16).reshape(hw)
    padded = np.pad(plane, ((top, bottom), (left, right)), constant_values=9999)
    geometry = Geometry.identity(hw).padded(padded.shape, top=top, left=left)
    np.testing.assert_array_equal(pull_back(padded, geometry, hw), plane)


@given(geometries(), SIZES, st.integers(0, 2**32 - 1))
def test_pull_back_introduces_no_new_values(geometry: Geometry, out_hw: tuple[int, int], seed: int) -> None:
    """The result has the requested size, the plane's dtype, and only the plane's values."""
    plane = np.random.default_rng(seed).integers(0, 5, geometry.tensor_hw, np.uint8)
    back = pull_back(plane, geometry, out_hw)
    assert back.shape == out_hw
    assert back.dtype == plane.dtype
    assert set(np.unique(back)) <= set(np.unique(plane))


@given(SIZES, SIZES, st.integers(0, 9), st.integers(0, 9), SIZES)
def test_padding_is_never_in_the_result(
    hw: tuple[int, int], tensor: tuple[int, int], top: int, left: int, out_hw: tuple[int, int]
) -> None:
    """Padding around a resized picture is left out, whatever the result's size."""
    padded = np.pad(np.ones(tensor, np.uint8), ((top, 3), (left, 3)), constant_values=255)
    geometry = Geometry.identity(hw).resized(tensor).padded(padded.shape, top=top, left=left)
    assert (pull_back(padded, geometry, out_hw) == 1).all()


@given(SIDES, SIDES, SIDES)
def test_each_pixel_is_the_one_under_its_centre(source: int, tensor: int, out: int) -> None:
    """Rounding errors do not shift a pixel: indices equal those of integer arithmetic."""
    plane = np.arange(tensor, dtype=np.int64)[None]
    back = pull_back(plane, Geometry.identity((1, source)).resized((1, tensor)), (1, out))
    assert back[0].tolist() == [(2 * i + 1) * tensor // (2 * out) for i in range(out)]
