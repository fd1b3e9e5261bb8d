"""Recognise classes and scores in the values that a network outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import heads, kinds
from export_model.network import F32, Shape
from export_model.prepare import allowed, gap, noise
from export_model.selftest import picture
from quadrat.errors import GraphError
from quadrat.geometry import HW

NO_TASK = "quadrat has no task for such a network"


@dataclass(frozen=True, slots=True)
class Given:
    """The values of an output for some inputs, all of (height, width) `hw`."""

    arrays: tuple[NDArray[Any], ...]
    hw: HW
    image: F32
    """The last input (N, C, H, W), a picture in 0..1."""


@dataclass(frozen=True, slots=True)
class Classes:
    """How an output becomes classes (N, H, W): the axis to drop, and whether to make it an integer."""

    squeeze: int | None
    cast: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores (N, K, h, w) for some inputs, and what is needed to get them from the output."""

    arrays: tuple[NDArray[Any], ...]
    channels_last: bool
    half: bool
    resize: bool
    notes: tuple[str, ...]


def probe(model: Any, name: str, shape: Shape, where: str) -> Given:
    """Run a few pictures through the network; GraphError if it does not run."""
    run = heads.Runner(model.SerializeToString())
    first = picture(0, shape)
    images: list[F32] = [picture(seed, shape).astype(np.float32).repeat(shape[0] or 1, 0) for seed in (0, 1)]
    images.append(noise((shape[0], 3, *first.shape[2:])))
    try:
        arrays = tuple(run(image, name) for image in images)
    except Exception as error:  # whatever the runner raises, the graph does not run
        first_line = (str(error).splitlines() or [""])[0]
        raise GraphError(f"it does not run on {images[0].shape}: {first_line}", where=where) from error
    if any(not array.size for array in arrays):
        raise GraphError(f"output {name} is empty: its shape is {arrays[0].shape}", where=where)
    return Given(arrays, (first.shape[2], first.shape[3]), images[-1])


def as_classes(given: Given) -> Classes | None:
    """Return how classes are read from the output, or None if it does not hold classes.

    Classes are integers, or numbers of another type that are whole and beyond 1, such as those of a cast argmax.
    """
    array = given.arrays[0]
    if array.ndim not in (3, 4) or array.dtype.kind not in "biuf":
        return None
    squeeze = None
    if array.ndim == 4:
        if array.shape[1] != 1 and array.shape[3] != 1:
            return None
        squeeze = 1 if array.shape[1] == 1 else 3
    notes: tuple[str, ...] = ()
    if array.dtype.kind == "f":
        whole = all(np.array_equal(one, np.rint(one)) and one.min() >= 0 for one in given.arrays)
        if not whole or (max(one.max() for one in given.arrays) <= 1 and array.ndim == 4):
            return None
        notes = ("the output holds whole numbers: they are taken for classes",)
    if squeeze is not None:
        notes += (f"axis {squeeze} of the classes, of length 1, was dropped",)
    return Classes(squeeze, array.dtype.kind in "bf", notes)


def as_scores(given: Given, name: str, where: str) -> Scores:
    """Return the scores (N, K, h, w) of the output; GraphError if it holds none."""
    array = given.arrays[0]
    kind = kinds.recognise({name: given.arrays[-1]}, given.image)
    if kind is not None and not kind.picture:
        hint = f"Give --task {kind.task}" if kind.task else NO_TASK
        raise GraphError(f"it is {kind.name}: {kind.reason}", where=where, hint=hint)
    if array.ndim != 4 or array.dtype not in (np.float32, np.float16):
        raise GraphError(
            f"output {name} is {array.dtype} {array.shape}, not float32 (N, classes, H, W)",
            where=where,
            hint="For a detector, give --task detect" if array.ndim < 4 else "",
        )
    for one in given.arrays:
        if not np.isfinite(one.max(axis=1)).all():
            raise GraphError(f"output {name} holds NaN or infinity", where=where)
    last = is_channels_last(array.shape, given.hw)
    arrays = tuple(one.transpose(0, 3, 1, 2) if last else one for one in given.arrays)
    notes = (f"output {name} is channels-last (N, H, W, classes); a transpose was added",) if last else ()
    half = array.dtype == np.float16
    if half:
        notes += (f"output {name} is float16; a cast to float32 was added",)
    resize = arrays[0].shape[2:] != given.hw
    if resize:
        (h, w), (height, width) = arrays[0].shape[2:], given.hw
        notes += (f"output {name} is {w} x {h} for an input of {width} x {height}; a Resize was added",)
    return Scores(arrays, last, half, resize, notes)


def is_channels_last(shape: tuple[int, ...], hw: HW) -> bool:
    """Return True if an output of this shape has the proportions of the input (height, width) as (N, H, W, K) only."""
    if shape[2:] == hw:
        return False
    if shape[1:3] == hw:
        return True

    def fits(own: tuple[int, ...]) -> bool:
        return abs(own[0] * hw[1] - own[1] * hw[0]) <= max(hw)

    return fits(shape[1:3]) and not fits(shape[2:])


def check_same(run: heads.Runner, shape: Shape, scores: NDArray[Any], where: str) -> None:
    """Check that a completed graph gives the scores of the last picture of `probe`; GraphError if not."""
    first = picture(0, shape)
    off = gap(scores.astype(np.float32), run(noise((shape[0], 3, *first.shape[2:])), "logits"))
    if off > allowed(scores):
        raise GraphError(f"the completed graph differs from the original by {off:.1%}", where=where)
