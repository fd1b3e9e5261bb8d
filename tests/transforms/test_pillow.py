"""Resizing with Pillow's filters, and crops: the same pixels as the libraries that classifiers are trained with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from quadrat.errors import ImageSizeError, TransformError
from quadrat.geometry import Geometry
from quadrat.transforms import build
from quadrat.transforms.pillow import FILTERS, CenterCrop
from quadrat.types import TransformSpec
from tests.pictures import drawing

sides = st.integers(1, 300)


def run(pixels: np.ndarray, *steps: dict[str, Any]) -> tuple[np.ndarray, Geometry]:
    """Run transforms as in deploy.yaml; return the pixels (h, w, 3) and the geometry."""
    specs = [TransformSpec(step["type"], {k: v for k, v in step.items() if k != "type"}) for step in steps]
    tensor, geometry = build(specs)(pixels, Geometry.identity((pixels.shape[0], pixels.shape[1])))
    return tensor.transpose(1, 2, 0), geometry


@pytest.mark.parametrize("resample", FILTERS)
@pytest.mark.parametrize("size", [(64, 48), (300, 300), (7, 200)])
def test_it_is_pillows_resize(resample: str, size: tuple[int, int]) -> None:
    """Every filter gives Pillow's own pixels, larger and smaller."""
    pixels = drawing(120, 90)
    given_, geometry = run(pixels, {"type": "PilResize", "target_size": list(size), "resample": resample})
    expected = np.asarray(Image.fromarray(pixels).resize(size, FILTERS[resample]))
    np.testing.assert_array_equal(given_, expected)
    assert geometry.tensor_hw == size[::-1]


@given(st.tuples(sides, sides), st.integers(1, 200))
def test_the_short_side_gets_its_length_and_the_long_one_is_rounded_down(
    hw: tuple[int, int], short: int
) -> None:
    """As torchvision's and transformers' shortest edge: int(short * long / short side)."""
    if short * max(hw) / min(hw) > 2000:
        return
    given_, _ = run(np.zeros((*hw, 3), np.uint8), {"type": "PilResize", "short_size": short})
    assert min(given_.shape[:2]) == short
    assert max(given_.shape[:2]) == int(short * max(hw) / min(hw))
    assert (hw[0] <= hw[1]) == (given_.shape[0] <= given_.shape[1]) or given_.shape[0] == given_.shape[1]


@given(st.tuples(sides, sides), st.tuples(sides, sides), st.booleans())
def test_a_crop_has_its_size_and_its_geometry_tells_where_it_is(
    hw: tuple[int, int], size: tuple[int, int], nearest: bool
) -> None:
    """Every pixel of the crop is that of the source at the place that the geometry states, or black outside it."""
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    pixels = np.stack([rows + 1, columns + 1, rows * 0 + 1], -1).astype(np.float32)
    cut, geometry = CenterCrop(size, nearest)(pixels, Geometry.identity(hw))
    assert cut.shape[:2] == size == geometry.tensor_hw
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    source = np.floor(geometry.to_source(np.stack([x.ravel(), y.ravel()], 1))).astype(int)
    inside = ((source >= 0) & (source < np.array(hw)[::-1])).all(1)
    flat = cut.reshape(-1, 3)
    np.testing.assert_array_equal(flat[inside][:, 0], source[inside][:, 1] + 1)
    np.testing.assert_array_equal(flat[inside][:, 1], source[inside][:, 0] + 1)
    assert not flat[~inside].any()
    assert inside.sum() == min(hw[0], size[0]) * min(hw[1], size[1])


@pytest.mark.parametrize(
    ("old", "new", "floor", "nearest"),
    [(10, 7, 1, 2), (8, 7, 0, 0), (12, 7, 2, 2), (7, 10, -2, -1), (7, 8, -1, 0)],
)
def test_an_odd_difference_is_rounded_as_in_each_library(
    old: int, new: int, floor: int, nearest: int
) -> None:
    """Transformers round down; torchvision rounds to even, and pads one pixel more at the end."""
    for rule, expected in ((False, floor), (True, nearest)):
        _, geometry = CenterCrop((new, new), rule)(np.zeros((old, old, 3)), Geometry.identity((old, old)))
        assert geometry.matrix[0, 2] == -expected


def test_a_resize_that_comes_too_late_is_refused_before_measuring() -> None:
    """Pillow takes whole values only."""
    late = [TransformSpec("Normalize", {}), TransformSpec("PilResize", {"short_size": 9})]
    with pytest.raises(TransformError, match="before it"):
        build(late)
    build([TransformSpec("ToBGR", {}), *late[1:]])


def test_a_picture_too_narrow_is_at_fault_itself() -> None:
    """The order continues with the next picture."""
    with pytest.raises(ImageSizeError, match="PilResize"):
        run(np.zeros((1, 300_000, 3), np.uint8), {"type": "PilResize", "short_size": 400})


@pytest.mark.parametrize(
    "step", [{"resample": "cubic", "short_size": 3}, {}, {"short_size": 3, "target_size": [3, 3]}]
)
def test_wrong_parameters(step: dict[str, Any]) -> None:
    """An unknown filter, no size, and two sizes."""
    with pytest.raises(TransformError):
        run(drawing(9, 9), {"type": "PilResize", **step})
