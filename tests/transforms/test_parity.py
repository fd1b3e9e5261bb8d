"""Our transforms against PaddleSeg's own, bit for bit."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from quadrat.errors import TransformError
from quadrat.geometry import Geometry
from quadrat.transforms import REFUSED, TRANSFORMS, build
from quadrat.types import TransformSpec

IMAGENET = {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

CHAINS: list[list[dict[str, Any]]] = [
    [],
    [{"type": "Normalize"}],
    [IMAGENET],
    [{"type": "Normalize", "mean": [0, 0, 0], "std": [1, 1, 1]}],
    [{"type": "Normalize", "mean": [0.3], "std": [0.1, 0.2, 0.3]}],
    [IMAGENET, {"type": "Normalize"}],
    *(
        [{"type": "Resize", "interp": interp}]
        for interp in ("NEAREST", "LINEAR", "CUBIC", "AREA", "LANCZOS4")
    ),
    [{"type": "Resize"}, IMAGENET],
    [{"type": "Resize", "target_size": [120, 90], "keep_ratio": True}, IMAGENET],
    [{"type": "Resize", "target_size": [300, 400], "keep_ratio": True, "size_divisor": 32}],
    [{"type": "Resize", "target_size": [333, 222], "size_divisor": 7, "interp": "AREA"}],
    [{"type": "Resize", "target_size": [101, 67]}],
    [{"type": "ResizeByLong", "long_size": 77}, IMAGENET],
    [{"type": "ResizeByLong", "long_size": 513}],
    [{"type": "ResizeByShort", "short_size": 65}],
    [{"type": "ResizeByShort", "short_size": [65]}],
    [{"type": "ResizeByShort", "short_size": 200, "max_size": 250}],
    [{"type": "LimitLong"}, IMAGENET],
    [{"type": "LimitLong", "max_long": 80}, IMAGENET],
    [{"type": "LimitLong", "max_long": 2000, "min_long": 500}],
    [{"type": "ResizeRangeScaling", "min_value": 90, "max_value": 90}],
    [{"type": "ResizeStepScaling", "min_scale_factor": 0.7, "max_scale_factor": 0.7}],
    [{"type": "ResizeStepScaling", "min_scale_factor": 2, "max_scale_factor": 2}],
    [
        {
            "type": "ResizeStepScaling",
            "min_scale_factor": 0.5,
            "max_scale_factor": 0.6,
            "scale_step_size": 0.25,
        }
    ],
    [{"type": "Padding", "target_size": [200, 210]}, IMAGENET],
    [{"type": "Padding", "target_size": [200, 210], "im_padding_value": 0}],
    [IMAGENET, {"type": "Padding", "target_size": [200, 210], "im_padding_value": 0.5}],
    [{"type": "PaddingByAspectRatio"}, IMAGENET],
    [{"type": "PaddingByAspectRatio", "aspect_ratio": 1.7, "im_padding_value": 3}],
    [{"type": "PaddingByAspectRatio", "aspect_ratio": 0.6}],
    [{"type": "GenerateInstanceTargets", "num_classes": 2}, IMAGENET],
    [
        {"type": "ResizeByLong", "long_size": 128},
        {"type": "PaddingByAspectRatio"},
        {"type": "Resize", "target_size": [96, 96]},
        IMAGENET,
        {"type": "Padding", "target_size": [112, 128]},
    ],
]
SHAPES = [(67, 101), (101, 67), (128, 128), (31, 200)]


def specs(chain: list[dict[str, Any]]) -> list[TransformSpec]:
    """Convert entries of deploy.yaml to specs."""
    return [TransformSpec(one["type"], {k: v for k, v in one.items() if k != "type"}) for one in chain]


@pytest.fixture(scope="module")
def theirs() -> dict[str, Callable[..., Any]]:
    """PaddleSeg's transforms by name; importing it and paddle causes warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import paddleseg.transforms  # noqa: F401 - registers them
        from paddleseg.cvlibs import manager
    return dict(manager.TRANSFORMS.components_dict)


@pytest.mark.needs_export
def test_every_paddleseg_transform_is_known_or_refused(theirs: dict[str, Any]) -> None:
    """Each name that PaddleSeg registers is in exactly one of our two tables; other names are our own."""
    assert sorted(
        {*TRANSFORMS, *REFUSED}
        - {
            "CenterCrop", "Letterbox", "PadToMultiple", "PilResize", "ReflectPadding", "ResizeToMultiple", "ToBGR",
            "ToY",
        }
    ) == sorted(theirs)  # fmt: skip


@pytest.mark.needs_export
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: "-".join(one["type"] for one in chain) or "none")
def test_tensors_equal_paddlesegs(
    theirs: dict[str, Any], chain: list[dict[str, Any]], shape: tuple[int, int]
) -> None:
    """Same pixels, same parameters, same float32 bits."""
    pixels = np.random.default_rng(7).integers(0, 256, (*shape, 3), np.uint8)
    entries = copy.deepcopy(chain)
    compose = theirs["Compose"]([theirs[one.pop("type")](**one) for one in entries], to_rgb=True)
    wanted = compose({"img": pixels[..., ::-1].astype(np.float32)})["img"]
    tensor, geometry = build(specs(chain))(pixels, Geometry.identity(shape))
    assert tensor.dtype == wanted.dtype == np.float32
    assert tensor.shape == wanted.shape == (3, *geometry.tensor_hw)
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor.view(np.uint32), np.ascontiguousarray(wanted).view(np.uint32))


@pytest.mark.needs_export
def test_paddlesegs_short_size_leaks_from_picture_to_picture_and_ours_does_not(
    theirs: dict[str, Any],
) -> None:
    """The one difference: PaddleSeg's ResizeByShort shrinks all pictures after a limited one."""
    chain = [{"type": "ResizeByShort", "short_size": 60, "max_size": 100}]
    compose = theirs["Compose"]([theirs["ResizeByShort"](60, 100)])
    ours = build(specs(chain))
    long_shape, square = (30, 200), (80, 80)
    sizes = []
    for shape in (long_shape, square):
        pixels = np.zeros((*shape, 3), np.uint8)
        tensor, _ = ours(pixels, Geometry.identity(shape))
        sizes.append((compose({"img": pixels.astype(np.float32)})["img"].shape[1:], tensor.shape[1:]))
    assert sizes == [((15, 100), (15, 100)), ((15, 15), (60, 60))]


@pytest.mark.needs_export
def test_scale_padding_cannot_run_in_paddleseg_either(theirs: dict[str, Any]) -> None:
    """ScalePadding is refused by name because PaddleSeg itself raises KeyError without labels."""
    with pytest.raises(KeyError):
        theirs["Compose"]([theirs["ScalePadding"]()])({"img": np.zeros((4, 5, 3), np.float32)})
    with pytest.raises(TransformError, match="ScalePadding"):
        build([TransformSpec("ScalePadding")])
