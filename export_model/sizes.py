"""Check that the transforms bring every photograph to a size that the network takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model.network import F32, Network, Shape
from export_model.questions import Question
from quadrat.errors import ImageSizeError, QuadratError, TransformError
from quadrat.geometry import HW, Geometry
from quadrat.types import TransformSpec

PHOTOGRAPHS: tuple[HW, ...] = ((480, 640), (640, 480), (600, 600), (90, 160), (2000, 1504))
"""(height, width) of the photographs to try: landscape, portrait, square, small and large."""
ODD: tuple[HW, ...] = ((483, 641), (119, 97))
"""Photographs whose sides are multiples of nothing."""
DIVISORS = (1, 2, 4, 8, 14, 16, 28, 32, 64, 128, 256)
"""Multiples that networks are known to need; 14 and 28 are those of vision transformers."""
SIDES: tuple[HW, ...] = ((96, 128), (128, 256), (224, 224), (256, 512), (512, 512), (640, 640))
"""(height, width) to try for an input whose size is open, small ones first."""


def check(network: Network) -> None:
    """Check the transforms of a network; see `check_transforms`."""
    check_transforms(network.shape, network.transforms)


def check_transforms(shape: Shape, transforms: Sequence[Mapping[str, object]]) -> None:
    """Run photographs of several sizes through the transforms, if the network's height or width is fixed.

    Raises TransformError if one does not get the size that `shape` (N, C, H, W) has, or if a transform cannot run.
    """
    wanted = shape[2:]
    if not any(wanted):
        return
    chain = _chain(transforms)
    for hw in PHOTOGRAPHS:
        try:
            tensor, _ = chain(np.zeros((*hw, 3), np.uint8), Geometry.identity(hw))
        except ImageSizeError as error:
            raise _misfit(shape, hw, f"cannot be brought to that: {error.what}") from error
        if any(size not in (None, is_) for size, is_ in zip(wanted, tensor.shape[1:], strict=True)):
            raise _misfit(shape, hw, f"reaches it as {tensor.shape[2]} x {tensor.shape[1]}")


def question(network: Network, divisor: int) -> Question | None:
    """Return what is open about the size of images, after `transforms`; None if every photograph fits.

    `divisor` is that of the network's height and width, 1 if it takes any size.
    """
    height, width = network.shape[2:]
    if height or width:
        try:
            check(network)
        except TransformError as error:
            size = f"{width or height} {height or width}"
            return Question(error.what, f"--stretch {size} (changes the aspect ratio) or --letterbox {size}")
        return None
    if divisor == 1 or _fits(network.transforms, divisor):
        return None
    return Question(
        f"the network only takes widths and heights in multiples of {divisor}",
        f"--multiples pad (grey below and to the right) or --multiples resize (to the nearest multiple of {divisor}), "
        "or --stretch W H or --letterbox W H",
    )


def fixed(network: Network) -> bool:
    """Return True if every image reaches the network at one size, which is then that of its training."""
    names = {str(t.get("type")) for t in network.transforms}
    return all(network.shape[2:]) or bool(names & {"Resize", "Letterbox", "ResizeByLong"})


def reached(transforms: Sequence[Mapping[str, Any]]) -> HW | None:
    """Return the (height, width) to which the transforms bring photographs of every size; None if that differs."""
    chain = _chain(transforms)
    found: set[HW] = set()
    for hw in (*PHOTOGRAPHS, *ODD):
        tensor, _ = chain(np.zeros((*hw, 3), np.uint8), Geometry.identity(hw))
        found.add((int(tensor.shape[1]), int(tensor.shape[2])))
    return found.pop() if len(found) == 1 else None


def multiples(way: str, divisor: int) -> Mapping[str, Any]:
    """Return the transform that brings images to multiples: `way` is "pad" or "resize"."""
    return {"type": "PadToMultiple" if way == "pad" else "ResizeToMultiple", "divisor": divisor}


def find_divisor(run: Callable[[F32], NDArray[Any]], shape: Shape) -> int:
    """Find the least number whose multiples an input needs as height and width; 1 if any size will do.

    A size is taken if the network runs and its output (N, ..., h, w) has the size of the input. Returns 1 also if
    height or width are fixed, and if no divisor is found.
    """
    if shape[2] or shape[3]:
        return 1
    for divisor in DIVISORS:
        if all(_runs(run, shape, hw) for hw in _multiples_of(divisor)):
            return divisor
    return 1


def runnable(run: Callable[[F32], Any], shape: Shape) -> Shape:
    """Return the shape with a height and width at which the network runs; as it is if none is found."""
    for hw in SIDES:
        tried = (*shape[:2], shape[2] or hw[0], shape[3] or hw[1])
        try:
            run(np.zeros([size or fill for size, fill in zip(tried, (1, 3, 0, 0), strict=True)], np.float32))
        except Exception:  # noqa: BLE001, S112 - whatever the runner raises, it does not run at this size
            continue
        return tried
    return shape


def _multiples_of(divisor: int) -> tuple[HW, ...]:
    """Return two sizes that are odd multiples of the divisor, so that they are not multiples of its double."""
    low = max(1, 64 // divisor) | 1
    return (low * divisor, (low + 2) * divisor), ((low + 4) * divisor, low * divisor)


def _runs(run: Callable[[F32], NDArray[Any]], shape: Shape, hw: HW) -> bool:
    try:
        given = run(np.zeros((shape[0] or 1, 3, *hw), np.float32))
    except Exception:  # noqa: BLE001 - whatever the runner raises, it does not run
        return False
    return tuple(given.shape[-2:]) == hw


def _fits(transforms: Sequence[Mapping[str, Any]], divisor: int) -> bool:
    """Return True if the transforms bring photographs of all sizes to multiples of the divisor."""
    chain = _chain(transforms)
    for hw in (*PHOTOGRAPHS, *ODD):
        try:
            tensor, _ = chain(np.zeros((*hw, 3), np.uint8), Geometry.identity(hw))
        except QuadratError:
            return False
        if tensor.shape[1] % divisor or tensor.shape[2] % divisor:
            return False
    return True


def _chain(transforms: Sequence[Mapping[str, object]]) -> Any:
    from quadrat.transforms import build

    return build([_spec(t) for t in transforms])


def _spec(transform: Mapping[str, object]) -> TransformSpec:
    params = {key: value for key, value in transform.items() if key != "type"}
    return TransformSpec(str(transform["type"]), params)


def _misfit(shape: Shape, hw: HW, what: str) -> TransformError:
    """Return an error that describes what happens to a photograph, and a hint that corrects it."""
    height, width = shape[2:]
    size = f"{width or height} {height or width}"
    return TransformError(
        f"the network only takes {width or 'any'} x {height or 'any'} pixels (width x height), "
        f"but a photograph of {hw[1]} x {hw[0]} {what}",
        where="transforms",
        hint=f"Give --letterbox {size}, or --stretch {size} for a network that was trained that way",
    )
