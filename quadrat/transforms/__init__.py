"""Frames to network inputs: PaddleSeg's transforms, re-created bit for bit or refused by name, and a few for detectors.

Every transform takes float32 (or untouched uint8) pixels (H, W, 3) RGB in 0-255 with their geometry
and returns both; what it does to the pixels and what it does to the geometry stand side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import TransformError
from quadrat.geometry import Geometry
from quadrat.protocols import Transform
from quadrat.transforms.chain import Chain
from quadrat.transforms.params import Params
from quadrat.types import ImageU8, TransformSpec

TRANSFORMS = {
    "GenerateInstanceTargets": "quadrat.transforms.normalize:keep",
    "Letterbox": "quadrat.transforms.letterbox:letterbox",
    "LimitLong": "quadrat.transforms.resize:limit_long",
    "Normalize": "quadrat.transforms.normalize:normalize",
    "Padding": "quadrat.transforms.pad:padding",
    "PaddingByAspectRatio": "quadrat.transforms.pad:padding_by_aspect_ratio",
    "Resize": "quadrat.transforms.resize:resize",
    "ResizeByLong": "quadrat.transforms.resize:resize_by_long",
    "ResizeByShort": "quadrat.transforms.resize:resize_by_short",
    "ResizeRangeScaling": "quadrat.transforms.resize:resize_range_scaling",
    "ResizeStepScaling": "quadrat.transforms.resize:resize_step_scaling",
    "ToBGR": "quadrat.transforms.letterbox:to_bgr",
}
"""Transform type -> the reader of its parameters, as "module:attribute"."""

REFUSED = {
    "Compose": "a list inside the list",
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
    "ScalePadding": "unable to run without labels, in PaddleSeg too",
}
"""Transform type -> why it cannot run at inference."""


def build(
    specs: Sequence[TransformSpec],
) -> Callable[[ImageU8, Geometry], tuple[NDArray[np.float32], Geometry]]:
    """Make the chain that deploy.yaml's `transforms` describe.

    It takes pixels (H, W, 3) uint8 RGB and their geometry, and gives a tensor (C, h, w) float32,
    C-contiguous, and where the source lies in it. Raises TransformError for a type that is unknown
    or cannot run, and for a parameter that is unknown, missing, or not of its type and range;
    calling the chain raises ImageSizeError for a picture that does not fit.
    """
    return Chain(tuple(_step(spec) for spec in specs))


def _step(spec: TransformSpec) -> Transform:
    reason = REFUSED.get(spec.type)
    if reason is not None:
        raise TransformError(
            f"the transform is {reason}, so it cannot run at inference",
            where=f"transforms: {spec.type}",
            hint="Take it out of deploy.yaml, or export the model anew",
        )
    found = TRANSFORMS.get(spec.type)
    if found is None:
        raise TransformError(
            f"{spec.type[:60]!r} is no transform we know",
            where="transforms",
            hint=f"Known are {', '.join(TRANSFORMS)}",
        )
    module, attribute = found.split(":")
    read: Callable[[Params], Transform] = getattr(import_module(module), attribute)
    params = Params(spec)
    step = read(params)
    params.finish()
    return step
