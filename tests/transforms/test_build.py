"""Chains refuse invalid transforms and parameters, and share some properties."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from quadrat.errors import ImageSizeError, TransformError
from quadrat.geometry import Geometry, pull_back
from quadrat.predictions import UNKNOWN
from quadrat.transforms import REFUSED, TRANSFORMS, build
from quadrat.transforms.normalize import Normalize
from quadrat.types import TransformSpec
from tests.pictures import drawing
from tests.transforms.test_parity import CHAINS, SHAPES, specs

OWN = {
    "CenterCrop",
    "Letterbox",
    "PadToMultiple",
    "PilResize",
    "ReflectPadding",
    "ResizeToMultiple",
    "ToBGR",
    "ToY",
}
"""Transforms that PaddleSeg does not have."""


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: "-".join(one["type"] for one in chain) or "none")
def test_a_plane_pulled_back_is_whole_and_free_of_padding(
    chain: list[dict[str, Any]], shape: tuple[int, int]
) -> None:
    """With the content marked by the geometry and padding UNKNOWN, no UNKNOWN pixel is in the result."""
    tensor, geometry = build(specs(chain))(drawing(*shape), Geometry.identity(shape))
    assert geometry.tensor_hw == tensor.shape[1:]
    assert geometry.source_hw == shape
    corner = geometry.to_tensor(np.array([[shape[1], shape[0]]], np.float64))[0]
    plane = np.full(geometry.tensor_hw, UNKNOWN, np.uint8)
    plane[: round(corner[1]), : round(corner[0])] = 1
    back = pull_back(plane, geometry, shape)
    assert back.shape == shape
    assert set(np.unique(back)) == {1}


@pytest.mark.parametrize("factor", [1, 2, 3, 5])
@pytest.mark.parametrize("pad", [0, 1, 17])
def test_a_magnified_and_padded_plane_comes_back_as_it_was(factor: int, pad: int) -> None:
    """If a resize loses nothing, it is inverted exactly: pull_back(resize(labels)) == labels."""
    labels = np.random.default_rng(1).integers(0, 9, (23, 41), np.uint8)
    pixels = np.repeat(labels[..., None], 3, axis=2)
    chain = build(
        [
            TransformSpec("Resize", {"target_size": [41 * factor, 23 * factor], "interp": "NEAREST"}),
            TransformSpec(
                "Padding", {"target_size": [41 * factor + pad, 23 * factor + pad], "im_padding_value": 200}
            ),
        ]
    )
    tensor, geometry = chain(pixels, Geometry.identity((23, 41)))
    np.testing.assert_array_equal(pull_back(tensor[0].astype(np.uint8), geometry, (23, 41)), labels)


def test_the_chain_keeps_its_input_and_has_no_state() -> None:
    """A picture gives the same tensor before and after other pictures, and is not modified."""
    chain = build(
        specs([{"type": "ResizeByShort", "short_size": 60, "max_size": 100}, {"type": "Normalize"}])
    )
    pixels = drawing(80, 90)
    kept = pixels.copy()
    first, _ = chain(pixels, Geometry.identity((80, 90)))
    chain(drawing(30, 200), Geometry.identity((30, 200)))
    second, _ = pickle.loads(pickle.dumps(chain))(pixels, Geometry.identity((80, 90)))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(pixels, kept)


@pytest.mark.parametrize("mean", [(0.5,), (0.485, 0.456, 0.406), (0, 0, 0)])
@pytest.mark.parametrize("std", [(0.5,), (0.229, 0.224, 0.225), (1, 1, 1)])
def test_the_looked_up_numbers_are_the_computed_ones(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """The lookup table for uint8 equals the float32 computation to the last bit, for all values and channels."""
    step = Normalize(mean, std)
    pixels = (
        np.random.default_rng(2).permutation(np.repeat(np.arange(256, dtype=np.uint8), 3)).reshape(16, 16, 3)
    )
    slow, _ = step(pixels.astype(np.float32), Geometry.identity((16, 16)))
    np.testing.assert_array_equal(step.planes(pixels), slow.transpose(2, 0, 1))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_transforms_that_cannot_run_are_refused_by_name(name: str) -> None:
    """The error names the transform and gives the reason."""
    with pytest.raises(TransformError, match=name) as caught:
        build([TransformSpec("Normalize"), TransformSpec(name)])
    assert REFUSED[name] in str(caught.value)


def test_the_two_tables_name_22_transforms() -> None:
    """All 22 transforms of PaddleSeg 2.8.0 are accounted for, each once."""
    assert len({*TRANSFORMS, *REFUSED}) == len(TRANSFORMS) + len(REFUSED)
    assert len({*TRANSFORMS, *REFUSED} - OWN) == 22


@pytest.mark.parametrize("name", ["", "normalize", "Rotate", "os:system", "x" * 500])
def test_unknown_transforms_are_refused_with_the_known_ones(name: str) -> None:
    """The error names the unknown type, shortened, and lists the known ones."""
    with pytest.raises(TransformError, match=r"Known transforms: .*Normalize") as caught:
        build([TransformSpec(name)])
    assert name[:60] in caught.value.what
    assert len(caught.value.line) < 400


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("Normalize", {"mean": "0.5"}, "mean"),
    ("Normalize", {"mean": [0.5, 0.5]}, "mean"),
    ("Normalize", {"mean": []}, "mean"),
    ("Normalize", {"mean": ["1e-3"] * 3}, "mean"),
    ("Normalize", {"mean": [float("nan")]}, "mean"),
    ("Normalize", {"mean": [True]}, "mean"),
    ("Normalize", {"mean": [10**400]}, "mean"),
    ("Normalize", {"mean": [16**5000]}, "huge"),
    ("Normalize", {"std": [0.5, 0, 0.5]}, "std"),
    ("Normalize", {"std": [float("inf")]}, "std"),
    ("Normalize", {"average": [0.5]}, "average.*Known parameters: mean, std"),
    ("Normalize", {7: [0.5]}, "unknown parameter 7"),
    ("Resize", {"target_size": 512}, "target_size"),
    ("Resize", {"target_size": [512]}, "target_size"),
    ("Resize", {"target_size": [0, 5]}, "target_size"),
    ("Resize", {"target_size": [16385, 5]}, "target_size"),
    ("Resize", {"target_size": [16384, 16384]}, "million pixels"),
    ("Resize", {"target_size": [5.0, 5]}, "target_size"),
    ("Resize", {"keep_ratio": 1}, "keep_ratio"),
    ("Resize", {"size_divisor": -32}, "size_divisor"),
    ("Resize", {"interp": "RANDOM"}, "interp.*LINEAR"),
    ("Resize", {"interp": ["LINEAR"]}, "interp"),
    ("ResizeByLong", {}, "long_size is missing"),
    ("ResizeByLong", {"long_size": True}, "long_size"),
    ("ResizeByLong", {"long_size": 10**9}, "long_size"),
    ("ResizeByShort", {"short_size": [300, 400]}, "short_size"),
    ("ResizeByShort", {"short_size": 300, "max_size": 0}, "max_size"),
    ("LimitLong", {"max_long": 300.0}, "max_long"),
    ("LimitLong", {"max_long": 300, "min_long": 301}, "min_long"),
    ("ResizeRangeScaling", {}, "max_value.*random"),
    ("ResizeStepScaling", {}, "max_scale_factor.*random"),
    ("ResizeStepScaling", {"min_scale_factor": 1, "max_scale_factor": 1.5, "scale_step_size": 0}, "random"),
    ("Padding", {}, "target_size is missing"),
    ("Padding", {"target_size": [5, 5], "im_padding_value": "grey"}, "im_padding_value"),
    ("PaddingByAspectRatio", {"aspect_ratio": 0}, "aspect_ratio"),
]


@pytest.mark.parametrize(
    ("name", "params", "message"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_wrong_parameters_name_transform_and_parameter(
    name: str, params: dict[str, Any], message: str
) -> None:
    """One line names a parameter that is unknown, missing or wrong, before any picture is read."""
    with pytest.raises(TransformError, match=message) as caught:
        build([TransformSpec(name, params)])
    assert caught.value.where == f"transforms: {name}"
    assert "\n" not in caught.value.line


@pytest.mark.parametrize(
    "after",
    [
        ("ToY", {}),
        ("ToBGR", {}),
        ("Letterbox", {"size": [10, 10]}),
        ("ReflectPadding", {"divisor": 4}),
        ("Normalize", {"mean": [0.5] * 3, "std": [0.5] * 3}),
        ("Normalize", {"mean": [0.5], "std": [0.5] * 3}),
    ],
)
def test_a_picture_of_one_channel_is_only_normalised(after: tuple[str, dict[str, Any]]) -> None:
    """All others take three channels; they would fail at every picture, or mix it up."""
    build([TransformSpec("ToY", {}), TransformSpec("Normalize", {"mean": [0.5], "std": [0.5]})])
    with pytest.raises(TransformError, match="may come after it"):
        build([TransformSpec("ToY", {}), TransformSpec(*after)])


@pytest.mark.parametrize(
    ("name", "params", "shape"),
    [
        ("Padding", {"target_size": [50, 90]}, (80, 60)),
        ("ResizeByLong", {"long_size": 4}, (1, 2000)),
        ("ResizeByShort", {"short_size": 512}, (1, 20000)),
        ("ResizeStepScaling", {"min_scale_factor": 9999, "max_scale_factor": 9999}, (80, 60)),
        ("PaddingByAspectRatio", {"aspect_ratio": 0.001}, (1, 20000)),
    ],
)
def test_a_picture_that_does_not_fit_is_at_fault_itself(
    name: str, params: dict[str, Any], shape: tuple[int, int]
) -> None:
    """If only some pictures cannot be transformed, it is an error of the picture, and the order continues."""
    chain = build([TransformSpec(name, params)])
    with pytest.raises(ImageSizeError, match=name):
        chain(np.zeros((*shape, 3), np.uint8), Geometry.identity(shape))


@pytest.mark.parametrize(
    ("shape", "size"), [((60, 90), (60, 90)), ((30, 60), (50, 100)), ((30, 200), (15, 100))]
)
def test_the_long_side_limits_the_short_one(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """ResizeByShort reduces the short side just enough for the long side to meet max_size."""
    chain = build([TransformSpec("ResizeByShort", {"short_size": 60, "max_size": 100})])
    tensor, _ = chain(np.zeros((*shape, 3), np.uint8), Geometry.identity(shape))
    assert tensor.shape == (3, *size)


def test_a_mean_may_be_negative() -> None:
    """The range of means applies to their magnitude."""
    chain = build([TransformSpec("Normalize", {"mean": [-0.5], "std": [1.0]})])
    tensor, _ = chain(np.zeros((1, 1, 3), np.uint8), Geometry.identity((1, 1)))
    assert (tensor == 0.5).all()
