"""Reduce the inputs of an ONNX detector to a single float32 image; the outputs stay as they are."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from export_model import heads, labels, prepare
from export_model.network import Shape
from export_model.objects import OPEN
from quadrat.errors import GraphError
from quadrat.geometry import HW
from quadrat.types import OutputSpec

MIN_OPSET = 8
ORDERS: Mapping[str, HW | None] = {
    "orig_target_sizes": (3, 2), "target_sizes": (2, 3), "im_shape": (2, 3), "orig_size": None, "image_size": None,
}  # fmt: skip
"""Names of inputs (N, 2) for the size of each image, and the axes of the image tensor in their order.

RT-DETR and D-FINE have the width first, Hugging Face and PaddleDetection the height; None if exporters differ.
"""
SCALE = "scale_factor"
"""PaddleDetection's input (N, 2): boxes are divided by it to be in pixels of the photograph."""
MAX_WORD = 1000
"""Longest text of a size in metadata that is parsed, in characters."""


@dataclass(frozen=True, slots=True)
class Detector:
    """An adapted detector: `data` is the ONNX file, with one input `image` of `shape`; `notes` list the changes.

    `names` are the classes that the file states, `size` the (width, height) that it was exported for; both may be
    empty.
    """

    data: bytes
    image: str
    shape: Shape
    outputs: tuple[OutputSpec, ...]
    names: tuple[str, ...]
    size: tuple[int, ...]
    notes: tuple[str, ...]


def adapt(data: bytes, where: str, wanted: Shape | None) -> Detector:
    """Compute inputs other than the image in the graph, and make the image float32 with channels first.

    `wanted` fixes dynamic axes of the input. Raises GraphError for a graph that cannot be used, ParameterError if
    `wanted` does not fit.
    """
    model = heads.load(data, where)
    prepare.drop_held_inputs(model)
    graph = model.graph
    inputs = list(graph.input)
    images = [i for i in inputs if len(i.type.tensor_type.shape.dim) == 4]
    if len(images) != 1:
        listed = ", ".join(i.name for i in inputs) or "none"
        raise GraphError(f"one input (N, 3, H, W) is needed; it has {listed}", where=where)
    image = prepare.image_first(model, images[0], where, wanted)
    others = [other for other in inputs if other is not images[0]]
    notes = [*image.notes, *(_fold(model, other, image.name, image.shape, where) for other in others)]
    heads.with_shape(model, image.shape)
    _open_outputs(graph)
    model, note = prepare.upgraded(model, MIN_OPSET, where)
    done = model.SerializeToString(deterministic=True)
    heads.load(done, where)
    if image.notes and not others:
        open_sides = zip(image.shape, (1, 3, *OPEN), strict=True)
        prepare.prove(
            data, done, replace(image, shape=tuple(side or other for side, other in open_sides)), where
        )
    words = {p.key: p.value for p in model.metadata_props}
    return Detector(
        done, image.name, image.shape, _outputs(model.graph), labels.from_metadata(words),
        _read_size(words.get("imgsz", "")), (*notes, note) if note else tuple(notes),
    )  # fmt: skip


def _read_size(text: str) -> tuple[int, ...]:
    """Parse `imgsz`, which is height and width or one side, and return (width, height)."""
    given = _literal(text)
    sides = [given, given] if isinstance(given, int) else given
    if (
        isinstance(sides, list | tuple)
        and len(sides) == 2
        and all(isinstance(s, int) and s > 0 for s in sides)
    ):
        return (int(sides[1]), int(sides[0]))
    return ()


def _literal(text: str) -> Any:
    if not text or len(text) > MAX_WORD:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _onnx() -> Any:
    import onnx

    return onnx


def _sides(name: str, shape: Shape, where: str) -> HW:
    """Return the axes of the image that an input for sizes holds; GraphError if its name leaves the order open."""
    order, (height, width) = ORDERS[name], shape[2:]
    if order is not None:
        return order
    if height is None or height != width:
        raise GraphError(
            f"its input {name} is (width, height) or (height, width); its name does not tell which, "
            "and the wrong order would transpose every box",
            where=where,
            hint="Rename it: orig_target_sizes is (width, height), target_sizes is (height, width). "
            "Or export with a square input (--input-shape -1 3 640 640 if it is dynamic), "
            "or with boxes in pixels of the input",
        )
    return (3, 2)


def _fold(model: Any, given: Any, image: str, shape: Shape, where: str) -> str:
    """Compute an input (N, 2) from the image tensor, so that boxes are in pixels of that tensor; return a note."""
    name = str(given.name)
    if name not in (*ORDERS, SCALE) or len(given.type.tensor_type.shape.dim) != 2:
        raise GraphError(
            f"besides the image it has the input {name}, which cannot be computed from an image", where=where,
            hint=f"An input (N, 2) for the sizes of the images must have one of these names: {', '.join(ORDERS)}",
        )  # fmt: skip
    order = None if name == SCALE else _sides(name, shape, where)
    _compute(model.graph, given, image, order)
    model.graph.input.remove(given)
    value = "1, 1" if order is None else "height, width" if order == (2, 3) else "width, height"
    return f"input {name} is computed as {value}: boxes are in pixels of the tensor"


def _compute(graph: Any, given: Any, image: str, order: HW | None) -> None:
    """Insert nodes that compute, for each image, the lengths of these two axes of its tensor, or 1 and 1."""
    helper, numpy_helper = _onnx().helper, _onnx().numpy_helper
    name = str(given.name)

    def own(each: str) -> str:
        return f"{heads.PREFIX}{name}_{each}"

    pair = {"order": [*order]} if order else {"pair": [1, 1]}
    for key, value in {"first": [0], "two": [2], **pair}.items():
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), own(key)))
    nodes = [
        helper.make_node("Shape", [image], [own("sides")]),
        *([helper.make_node("Gather", [own("sides"), own("order")], [own("pair")])] if order else []),
        helper.make_node("Gather", [own("sides"), own("first")], [own("batch")]),
        helper.make_node("Concat", [own("batch"), own("two")], [own("shape")], axis=0),
        helper.make_node("Expand", [own("pair"), own("shape")], [own("each")]),
        helper.make_node("Cast", [own("each")], [name], to=given.type.tensor_type.elem_type),
    ]
    _before(graph, nodes)


def _before(graph: Any, nodes: Sequence[Any]) -> None:
    """Insert nodes before all others: the nodes of a graph are in topological order."""
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def _open_outputs(graph: Any) -> None:
    """Leave the axes of outputs open that the file states as -1 or 0."""
    for output in graph.output:
        for axis, side in enumerate(output.type.tensor_type.shape.dim):
            if side.HasField("dim_value") and side.dim_value <= 0:
                side.dim_param = f"{output.name}_{axis}"


def _outputs(graph: Any) -> tuple[OutputSpec, ...]:
    """Return names, dtypes and shapes of the outputs as the file states them."""
    to_dtype = _onnx().helper.tensor_dtype_to_np_dtype
    found = []
    for output in graph.output:
        tensor = output.type.tensor_type
        sides = tuple(int(d.dim_value) if d.HasField("dim_value") else None for d in tensor.shape.dim)
        found.append(OutputSpec(str(output.name), to_dtype(tensor.elem_type).name, sides))
    return tuple(found)
