"""Prepare an ONNX graph for an archive: one float32 image (N, C, H, W) as input, whatever form its authors chose.

Every change is proven: the prepared graph gives the same outputs as the original one, or it is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import heads
from export_model.network import F32, Shape, check_size
from quadrat.errors import GraphError, ParameterError

TO_FIRST = (0, 3, 1, 2)
"""The axes of a channels-last tensor in the order of channels first."""
TO_LAST = (0, 2, 3, 1)
SAME = 1e-4
"""Largest difference of a converted graph's outputs, as a share of their largest value."""
SAME_HALF = 5e-3
"""The same for outputs of float16: runtimes round them at different operations."""
HELD_APART = 4
"""Version of ONNX's format from which on initializers need not be listed as inputs."""
SIDE = 64
"""Height and width of an input whose size is open, in comparisons; other sizes are tried if it does not run."""


@dataclass(frozen=True, slots=True)
class Image:
    """The image input of a graph: its `name`, `shape` (N, 3, H, W) with None for open axes, and what was changed."""

    name: str
    shape: Shape
    channels_last: bool
    notes: tuple[str, ...]


def drop_held_inputs(model: Any) -> None:
    """Remove the inputs that are initializers, as files before version 4 of the format must list them."""
    graph = model.graph
    held = {i.name for i in graph.initializer}
    for each in [i for i in graph.input if i.name in held]:
        graph.input.remove(each)
    model.ir_version = max(model.ir_version, HELD_APART)


def sides_of(tensor: Any) -> Shape:
    """Return the sizes of a tensor type; None for those that are open, which some exporters write as -1 or 0."""
    return tuple(int(d.dim_value) if d.dim_value > 0 else None for d in tensor.shape.dim)


def upgraded(model: Any, least: int, where: str) -> tuple[Any, str]:
    """Return a model of at least opset `least`, and a note; both models must give the same outputs.

    Call it after `image_first`. Raises GraphError if the converter fails or changes an output: it is known to change
    the results of Resize and Upsample.
    """
    old = heads.opset(model)
    if old >= least:
        return model, ""
    from onnx import version_converter

    hint = "Export the network again with opset 13 or later"
    try:
        new = version_converter.convert_version(model, max(least, heads.MIN_OPSET))
        heads.load(new.SerializeToString(), where)
        off = difference(model, new)
    except Exception as error:  # the converter and the runner raise anything
        first = (str(error).splitlines() or [""])[0]
        raise GraphError(
            f"its opset {old} is too old, and it cannot be converted: {first}", where=where, hint=hint
        ) from error
    if off > SAME:
        raise GraphError(
            f"its opset {old} is too old, and its outputs change by {off:.1%} when it is converted",
            where=where, hint=hint,
        )  # fmt: skip
    return new, f"opset {old} was converted to {heads.opset(new)}; the outputs are the same within {SAME:g}"


def difference(old: Any, new: Any) -> float:
    """Return the largest difference between the outputs of two models, as a share of the largest value of the output."""
    shape = sides_of(old.graph.input[0].type.tensor_type)
    first, second = (heads.Runner(model.SerializeToString()) for model in (old, new))
    worst = 0.0
    for seed in range(3):
        image = noise(shape, seed)
        given = first.every(image)
        for name, other in second.every(image).items():
            worst = max(worst, gap(given[name], other))
    return worst


def gap(one: NDArray[Any], two: NDArray[Any]) -> float:
    """Return the largest difference of two arrays as a share of the largest value; infinity if shapes differ."""
    if one.shape != two.shape:
        return float("inf")
    if not one.size:
        return 0.0
    a, b = one.astype(np.float64), two.astype(np.float64)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-12))


def allowed(array: NDArray[Any]) -> float:
    """Return how much an output of the dtype of `array` may differ."""
    return SAME_HALF if array.dtype == np.float16 else SAME


def noise(shape: Shape, seed: int = 0) -> F32:
    """Return a smooth picture with noise of this shape, float32 in 0..1; open axes are 1, 3 and SIDE.

    Raises GraphError if it would fill the memory.
    """
    check_size(shape)
    sizes = [size or open_ for size, open_ in zip(shape, (1, 3, SIDE, SIDE), strict=True)]
    rng = np.random.default_rng(seed)
    coarse = rng.random([*sizes[:2], -(-sizes[2] // 8), -(-sizes[3] // 8)])
    smooth = coarse.repeat(8, 2).repeat(8, 3)[:, :, : sizes[2], : sizes[3]]
    return (0.8 * smooth + 0.2 * rng.random(sizes)).astype(np.float32)


def is_channels_last(shape: Shape) -> bool:
    """Return True if the sizes of an image can only be (N, H, W, C): three channels come last, and not second."""
    return shape[3] in (1, 3) and shape[1] not in (1, 3)


def comes_last(model: Any, image: Any) -> bool:
    """Return True if the channels of an input come last; if its shape leaves that open, by running the network."""
    shape = sides_of(image.type.tensor_type)
    if len(shape) != 4 or shape[1] is not None or shape[3] is not None or len(model.graph.input) != 1:
        return is_channels_last(shape)
    picture = noise((shape[0], 3, shape[2], None))
    for last in (False, True):
        run = heads.Runner(model.SerializeToString())
        given = picture.transpose(TO_LAST) if last else picture
        with contextlib.suppress(Exception):  # whatever the runner raises, it does not run
            run.every(given.astype(run.dtype))
            return last
    return False


def image_first(
    model: Any, image: Any, where: str, wanted: Shape | None = None, *, channels: tuple[int, ...] = (3,)
) -> Image:
    """Make `image`, an input of `model` with four axes, float32 (N, 3, H, W), and return what it is now.

    A channels-last input is transposed and a float16 input cast in the graph. `wanted` fixes open axes, in the order
    (N, C, H, W); `channels` are the numbers that it may have, the usual one first. Raises GraphError for another dtype or another number of channels, ParameterError if `wanted` does
    not fit.
    """
    from onnx import TensorProto

    tensor = image.type.tensor_type
    own, name, notes = sides_of(tensor), str(image.name), []
    kind = tensor.elem_type
    if kind not in (TensorProto.FLOAT, TensorProto.FLOAT16):
        raise GraphError(
            f"the input {name} is neither float32 nor float16", where=where,
            hint="Export the network without its preprocessing",
        )  # fmt: skip
    last = comes_last(model, image)
    if last:
        own = tuple(own[axis] for axis in TO_FIRST)
    merged = _merged(own, wanted, where, channels)
    if last or kind == TensorProto.FLOAT16:
        new = _adapted(model.graph, image, last=last, cast=kind == TensorProto.FLOAT16)
        notes += [f"input {name} is channels-last (N, H, W, C); a transpose was added"] if last else []
        if kind == TensorProto.FLOAT16:
            notes.append(f"input {name} is float16; a cast from float32 was added")
        name = new
    return Image(name, merged, last, tuple(notes))


def _merged(own: Shape, wanted: Shape | None, where: str, channels: tuple[int, ...]) -> Shape:
    merged = tuple(o if w is None else w for o, w in zip(own, wanted or own, strict=True))
    if any(o is not None and o != m for o, m in zip(own, merged, strict=True)):
        raise ParameterError(f"the graph's input is fixed to {own}", where="--input-shape")
    if merged[1] not in (None, *channels):
        allowed = " or ".join(map(str, channels))
        raise GraphError(f"the input has {merged[1]} channels, not {allowed}", where=where)
    return (merged[0], merged[1] or channels[0], *merged[2:])


def _adapted(graph: Any, image: Any, *, last: bool, cast: bool) -> str:
    """Insert a cast and a transpose before all nodes; the input gets a new name, which is returned."""
    from onnx import TensorProto, helper

    old, current = str(image.name), heads.PREFIX + "image"
    image.name = first = current
    nodes = []
    if cast:
        image.type.tensor_type.elem_type = TensorProto.FLOAT
        into = heads.PREFIX + "half" if last else old
        nodes.append(helper.make_node("Cast", [current], [into], to=TensorProto.FLOAT16))
        current = into
    if last:
        nodes.append(helper.make_node("Transpose", [current], [old], perm=list(TO_LAST)))
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    return first


def prove(data: bytes, done: bytes, image: Image, where: str) -> None:
    """Check that the prepared graph gives the original's outputs; `data` and `done` are the two files.

    Outputs of the original that the prepared graph does not have are not compared. Raises GraphError if one differs.
    """
    original, prepared = heads.Runner(data), heads.Runner(done)
    picture = noise(image.shape)
    given = picture.transpose(TO_LAST) if image.channels_last else picture
    try:
        expected = original.every(given.astype(original.dtype))
        found = prepared.every(picture)
    except Exception as error:  # whatever the runner raises, the graph does not run
        first = (str(error).splitlines() or [""])[0]
        raise GraphError(f"it does not run on {picture.shape}: {first}", where=where) from error
    for name in set(expected) & set(found):
        off = gap(expected[name], found[name])
        if off > allowed(expected[name]):
            raise GraphError(
                f"the prepared graph differs from the original in {name} by {off:.1%}", where=where
            )


def probed(run: Callable[[F32], Mapping[str, NDArray[Any]]], shape: Shape) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of all outputs for an input of `shape`, for files that leave them open."""
    return {name: tuple(array.shape) for name, array in run(noise(shape)).items()}
