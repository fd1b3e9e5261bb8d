"""Letterbox and its geometry: boxes mapped to the network's input and back are unchanged."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import TransformError
from quadrat.geometry import Geometry
from quadrat.transforms import build
from quadrat.types import TransformSpec
from tests.pictures import drawing

sides = st.integers(1, 900)


def chain(*steps: dict[str, Any]) -> Any:
    """Build a chain from entries as in deploy.yaml."""
    return build(
        [TransformSpec(step["type"], {k: v for k, v in step.items() if k != "type"}) for step in steps]
    )


@given(
    st.tuples(sides, sides),
    st.tuples(st.integers(16, 700), st.integers(16, 700)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_boxes_come_back(
    hw: tuple[int, int], size: tuple[int, int], up: bool, center: bool, stretch: bool
) -> None:
    """Boxes mapped to the tensor and back differ by at most 1e-4 pixels, letterboxed or stretched."""
    step = {"type": "Letterbox", "size": list(size), "scale_up": up, "center": center}
    step = {"type": "Resize", "target_size": list(size)} if stretch else step
    _, geometry = chain(step)(np.zeros((*hw, 3), np.uint8), Geometry.identity(hw))
    points = np.random.default_rng(0).uniform(0, 1, (20, 2)) * [hw[1], hw[0]]
    tensor = geometry.to_tensor(points).astype(np.float32)

    assert geometry.tensor_hw == size[::-1]
    assert (tensor >= 0).all()
    assert (tensor <= np.array(size) + 1e-3).all()
    np.testing.assert_allclose(geometry.to_source(geometry.to_tensor(points)), points, atol=1e-9)
    worst = max(hw[0] / size[1], hw[1] / size[0], 1)  # source pixels per tensor pixel
    np.testing.assert_allclose(geometry.to_source(tensor.astype(np.float64)), points, atol=1e-4 * worst)


@given(
    st.tuples(sides, sides),
    st.tuples(st.integers(16, 700), st.integers(16, 700)),
    st.booleans(),
    st.booleans(),
)
def test_the_picture_is_inside_its_frame(
    hw: tuple[int, int], size: tuple[int, int], up: bool, center: bool
) -> None:
    """White pixels are where the geometry places the picture; all others have the padding colour."""
    step = {"type": "Letterbox", "size": list(size), "scale_up": up, "center": center}
    tensor, geometry = chain(step)(np.full((*hw, 3), 255, np.uint8), Geometry.identity(hw))
    (x0, y0), (x1, y1) = np.round(geometry.to_tensor(np.array([[0, 0], [hw[1], hw[0]]], float))).astype(int)
    wanted = np.full((3, size[1], size[0]), 114, np.float32)
    wanted[:, y0:y1, x0:x1] = 255

    np.testing.assert_array_equal(wanted, tensor)
    if not up:
        assert x1 - x0 <= hw[1]
        assert y1 - y0 <= hw[0]


def test_it_is_the_letterbox_of_the_yolos() -> None:
    """1080p fits 640 x 640 in 360 rows, bilinear, with 140 grey rows above and below."""
    pixels = drawing(1080, 1920)
    tensor, geometry = chain({"type": "Letterbox", "size": [640, 640]})(
        pixels, Geometry.identity((1080, 1920))
    )
    inner = cv2.resize(pixels, (640, 360), interpolation=cv2.INTER_LINEAR)

    np.testing.assert_array_equal(tensor[:, 140:500], inner.transpose(2, 0, 1))
    assert {114.0} == set(np.unique(tensor[:, :140])) == set(np.unique(tensor[:, 500:]))
    np.testing.assert_allclose(geometry.matrix, [[1 / 3, 0, 0], [0, 1 / 3, 140], [0, 0, 1]])


def test_an_odd_pixel_goes_below_and_to_the_right() -> None:
    """Of three rows of padding, one is above and two are below."""
    tensor, geometry = chain({"type": "Letterbox", "size": [8, 8]})(
        np.full((5, 8, 3), 200, np.uint8), Geometry.identity((5, 8))
    )

    assert [114, *[200] * 5, 114, 114] == tensor[0, :, 0].tolist()
    assert 1.0 == geometry.matrix[1, 2]


def test_normalize_scales_values_to_0_to_1() -> None:
    """Normalize with mean 0 and std 1 only divides by 255; without it, values stay in 0..255."""
    pixels, start = drawing(40, 60), Geometry.identity((40, 60))
    frame = {"type": "Letterbox", "size": [64, 64], "color": 0}
    shares, _ = chain(frame, {"type": "Normalize", "mean": [0, 0, 0], "std": [1, 1, 1]})(pixels, start)
    whole, _ = chain(frame)(pixels, start)

    np.testing.assert_array_equal(whole / np.float32(255), shares)
    assert 255 >= whole.max() > 1


def test_bgr_reverses_the_channels() -> None:
    """Transforms after ToBGR see the channels as blue, green, red."""
    pixels, start = drawing(8, 9), Geometry.identity((8, 9))
    plain = {"type": "Normalize", "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}
    turned, _ = chain({"type": "ToBGR"}, {**plain, "mean": [0.3, 0.2, 0.1]})(pixels, start)
    straight, _ = chain(plain)(pixels, start)

    np.testing.assert_array_equal(straight[::-1], turned)
    assert turned.flags.c_contiguous


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "size is missing"),
        ({"size": 640}, "size"),
        ({"size": [0, 640]}, "size"),
        ({"size": [640, 640], "color": 256}, "color"),
        ({"size": [640, 640], "color": [114] * 3}, "color"),
        ({"size": [640, 640], "scale_up": "no"}, "scale_up"),
        ({"size": [640, 640], "auto": True}, "auto.*Known parameters: size, color, scale_up, center"),
    ],
)
def test_wrong_parameters_are_named(params: dict[str, Any], text: str) -> None:
    """The error names the parameter, before any picture is read."""
    with pytest.raises(TransformError, match=text):
        build([TransformSpec("Letterbox", params)])
