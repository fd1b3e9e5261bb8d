"""Check that the transforms bring every photograph to the size of a network whose size is fixed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from export_model.network import Network, Shape
from quadrat.errors import ImageSizeError, TransformError
from quadrat.geometry import HW, Geometry
from quadrat.types import TransformSpec

PHOTOGRAPHS: tuple[HW, ...] = ((480, 640), (640, 480), (600, 600), (90, 160), (2000, 1504))
"""(height, width) of the photographs to try: landscape, portrait, square, small and large."""


def check(network: Network) -> None:
    """Check the transforms of a network; see `check_transforms`."""
    check_transforms(network.shape, network.transforms, detect=bool(network.detect))


def check_transforms(shape: Shape, transforms: Sequence[Mapping[str, object]], *, detect: bool) -> None:
    """Run photographs of several sizes through the transforms, if the network's height or width is fixed.

    Raises TransformError if one does not get the size that `shape` (N, C, H, W) has, or if a transform cannot run;
    `detect` is True for a detector.
    """
    wanted = shape[2:]
    if not any(wanted):
        return
    from quadrat.transforms import build

    chain = build([_spec(t) for t in transforms])
    for hw in PHOTOGRAPHS:
        try:
            tensor, _ = chain(np.zeros((*hw, 3), np.uint8), Geometry.identity(hw))
        except ImageSizeError as error:
            raise _misfit(shape, transforms, hw, error.what, detect=detect) from error
        if any(size not in (None, is_) for size, is_ in zip(wanted, tensor.shape[1:], strict=True)):
            raise _misfit(
                shape, transforms, hw, f"reaches it as {tensor.shape[2]} x {tensor.shape[1]}", detect=detect
            )


def _spec(transform: Mapping[str, object]) -> TransformSpec:
    params = {key: value for key, value in transform.items() if key != "type"}
    return TransformSpec(str(transform["type"]), params)


def _misfit(
    shape: Shape, transforms: Sequence[Mapping[str, object]], hw: HW, what: str, *, detect: bool
) -> TransformError:
    """Return an error that describes what happens to a photograph, and a hint that corrects it."""
    height, width = shape[2:]
    if detect:
        size = f"{width or height} {height or width}"
        hint = f"Give --letterbox {size}, or --stretch {size} for a network that was trained that way"
    else:
        hint = _list(shape, transforms)
    return TransformError(
        f"the network only takes {width or 'any'} x {height or 'any'} pixels (width x height), "
        f"but a photograph of {hw[1]} x {hw[0]}: {what}",
        where="transforms", hint=hint,
    )  # fmt: skip


def _list(shape: Shape, transforms: Sequence[Mapping[str, object]]) -> str:
    """Return the complete list of transforms that brings every photograph to the network's size."""
    height, width = shape[2:]
    # if the network fixes only one side, the user chooses the other
    resize = {"type": "Resize", "target_size": [width or height, height or width]}
    rest = [dict(t) for t in transforms if t.get("type") == "Normalize"]
    return f"Write this to a file and give it with --transforms FILE: {json.dumps([resize, *rest])}"
