"""Convert frames to network inputs with PaddleSeg's transforms, bit for bit, and a few for detectors and classifiers.

Every transform takes float32 (or still uint8) pixels (H, W, 3) RGB in 0-255 with their geometry, and
returns both, so that its effect on pixels and geometry is defined in one place. Transforms that cannot run
at inference are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import TransformError
from quadrat.geometry import Geometry
from quadrat.protocols import Transform
from quadrat.transforms.chain import Chain, check_order
from quadrat.transforms.params import Params
from quadrat.types import ImageU8, TransformSpec

TRANSFORMS = {
    "CenterCrop": "quadrat.transforms.pillow:center_crop",
    "GenerateInstanceTargets": "quadrat.transforms.normalize:generate_instance_targets",
    "Letterbox": "quadrat.transforms.letterbox:letterbox",
    "LimitLong": "quadrat.transforms.resize:limit_long",
    "Normalize": "quadrat.transforms.normalize:normalize",
    "PadToMultiple": "quadrat.transforms.multiples:pad_to_multiple",
    "Padding": "quadrat.transforms.pad:padding",
    "PaddingByAspectRatio": "quadrat.transforms.pad:padding_by_aspect_ratio",
    "PilResize": "quadrat.transforms.pillow:pil_resize",
    "ReflectPadding": "quadrat.transforms.reflect:reflect_padding",
    "Resize": "quadrat.transforms.resize:resize",
    "ResizeByLong": "quadrat.transforms.resize:resize_by_long",
    "ResizeByShort": "quadrat.transforms.resize:resize_by_short",
    "ResizeRangeScaling": "quadrat.transforms.resize:resize_range_scaling",
    "ResizeStepScaling": "quadrat.transforms.resize:resize_step_scaling",
    "ResizeToMultiple": "quadrat.transforms.multiples:resize_to_multiple",
    "ToBGR": "quadrat.transforms.letterbox:to_bgr",
    "ToY": "quadrat.transforms.reflect:to_y",
}
"""Transform type -> the function that reads its parameters, as "module:attribute"."""

REFUSED = {
    "Compose": "a nested list of transforms",
    "RandomAffine": "random",
    "RandomBlur": "random",
    "RandomCenterCrop": "random",
    "RandomDistort": "random",
    "RandomHorizontalFlip": "random",
    "RandomNoise": "random",
    "RandomPaddingCrop": "random",
    "RandomRotation": "random",
    "RandomScaleAspect": "random",
    "RandomVerticalFlip": "random",
    "ScalePadding": "not possible without labels, as in PaddleSeg",
}
"""Transform type -> why it cannot run at inference."""


def build(
    specs: Sequence[TransformSpec],
) -> Callable[[ImageU8, Geometry], tuple[NDArray[np.float32], Geometry]]:
    """Build the chain that `transforms` in deploy.yaml describes.

    The chain takes pixels (H, W, 3) uint8 RGB with their geometry, and returns a C-contiguous tensor
    (C, h, w) float32 with the position of the source in it. Raises TransformError for a type that is
    unknown, cannot run or is out of order, and for a parameter that is unknown, missing, or of the wrong type or range;
    calling the chain raises ImageSizeError for a picture that does not fit.
    """
    steps = tuple(_make_step(spec) for spec in specs)
    check_order(steps)
    return Chain(steps)


def _make_step(spec: TransformSpec) -> Transform:
    reason = REFUSED.get(spec.type)
    if reason is not None:
        raise TransformError(
            f"the transform is {reason}, so it cannot run at inference",
            where=f"transforms: {spec.type}",
            hint="Remove it from deploy.yaml, or export the model again",
        )
    entry = TRANSFORMS.get(spec.type)
    if entry is None:
        raise TransformError(
            f"unknown transform {spec.type[:60]!r}",
            where="transforms",
            hint=f"Known transforms: {', '.join(TRANSFORMS)}",
        )
    module, attribute = entry.split(":")
    read: Callable[[Params], Transform] = getattr(import_module(module), attribute)
    params = Params(spec)
    step = read(params)
    params.finish()
    return step
