"""Export an ONNX file, with the outputs `labels`, `confidence` and `logits`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model import heads
from export_model.network import F32, Network, Shape, digest, existing, need, refuse_programs
from export_model.selftest import labels_of, picture
from quadrat.errors import GraphError, ParameterError


@dataclass(frozen=True, slots=True)
class Graph:
    """A model with its three outputs: `data` is the file, `roles` the tensor of each role.

    `shares` is True if the network itself outputs probabilities; the logits are then their logarithm.
    """

    data: bytes
    roles: Mapping[str, str]
    shape: Shape
    input_name: str
    shares: bool = False


def load(path: Path, output: str | None, shape: Shape | None) -> Network:
    """Read `path`, with weights from files beside it, and append the outputs that are missing.

    `output` names the scores if the graph has several outputs; `shape` fixes dynamic axes. Raises ParameterError for
    a wrong choice, GraphError for a graph that cannot be used.
    """
    data = read(path)
    import onnx

    graph = complete(data, str(path), output=output, shape=shape)
    return Network(
        name=path.stem,
        model={"type": "onnx", "file": path.name},
        files={"model.onnx": graph.data},
        engines={"onnx": "model.onnx"},
        outputs=graph.roles,
        shape=graph.shape,
        input_name=graph.input_name,
        run=runner(graph),
        provenance={"sources": {path.name: digest(path)}, "versions": {"onnx": onnx.__version__}},
    )


def read(path: Path) -> bytes:
    """Read an ONNX file, with weights from files beside it; ParameterError or GraphError if it is not one."""
    refuse_programs(path, "--onnx")
    existing(path, "--onnx")
    need("--onnx", "onnx")
    import onnx

    try:
        onnx.checker.check_model(str(path))  # by path, so that files outside its folder are refused
        data: bytes = onnx.load_model(str(path)).SerializeToString()
    except Exception as error:  # protobuf, checker and C++ errors share no base
        first = (str(error).splitlines() or [""])[0]
        raise GraphError(f"this is not a valid ONNX model: {first}", where=f"--onnx {path}") from error
    return data


def runner(graph: Graph) -> Any:
    """Return a function that computes the logits of the graph, or its labels if it has no scores."""
    run = heads.Runner(graph.data)
    wanted = graph.roles.get("logits", graph.roles["labels"])

    def scores(image: F32) -> NDArray[Any]:
        return run(image, wanted)

    return scores


def complete(data: bytes, where: str, *, output: str | None = None, shape: Shape | None = None) -> Graph:
    """Find the scores of an ONNX model and append `labels`, `confidence` and `logits`.

    A graph that has all three by name is kept, and so is one that outputs only labels. Raises GraphError, or
    ParameterError if `output` or `shape` do not fit.
    """
    model = heads.load(data, where)
    if heads.opset(model) < heads.MIN_OPSET:
        raise GraphError(f"opset {heads.opset(model)} is too old", where=where, hint="Convert it to opset 17")
    merged = _shape(model, where, shape)
    heads.with_shape(model, merged)
    image_name = str(model.graph.input[0].name)
    names = [o.name for o in model.graph.output]
    if output is None and set(heads.ROLES) <= set(names):
        return Graph(
            model.SerializeToString(deterministic=True), {r: r for r in heads.ROLES}, merged, image_name
        )
    scores = _scores(model, output, where)
    image = picture(0, merged).astype(np.float32).repeat(merged[0] or 1, 0)
    try:
        given = heads.Runner(model.SerializeToString())(image, scores)
    except Exception as error:  # whatever the runner raises, the graph does not run
        first = (str(error).splitlines() or [""])[0]
        raise GraphError(f"it does not run on {image.shape}: {first}", where=where) from error
    if np.issubdtype(given.dtype, np.integer) and given.ndim == 3:
        return Graph(model.SerializeToString(deterministic=True), {"labels": scores}, merged, image_name)
    if given.ndim != 4 or given.dtype != np.float32:
        raise GraphError(
            f"output {scores} is {given.dtype} {given.shape}, not float32 (N, classes, H, W)",
            where=where,
            hint="For a detector, give --task detect" if given.ndim < 4 else "",
        )
    shares = _is_share(model, scores, given)
    heads.append(
        model, scores, probabilities=shares, channels=given.shape[1],
        resize=given.shape[2:] != image.shape[2:],
    )  # fmt: skip
    done = model.SerializeToString(deterministic=True)
    heads.load(done, where)
    return Graph(done, {r: r for r in heads.ROLES}, merged, image_name, shares)


def agrees(graph: Graph, image: F32, labels: NDArray[np.uint8]) -> int:
    """Count the pixels of `image` at which the graph's labels differ from `labels`."""
    given = heads.Runner(graph.data)(image.repeat(graph.shape[0] or 1, 0), graph.roles["labels"])
    own = labels_of(given)[:1]
    return int((own != labels).sum()) if own.shape == labels.shape else labels.size


def _is_share(model: Any, name: str, scores: NDArray[Any]) -> bool:
    """Return True for probabilities: in 0..1 and summing to one; a single channel must come from a sigmoid."""
    if scores.min() < 0 or scores.max() > 1:
        return False
    if scores.shape[1] > 1:
        return bool(np.allclose(scores.sum(1), 1, atol=1e-4))
    makers = {output: node for node in model.graph.node for output in node.output}
    while name in makers and makers[name].op_type in ("Identity", "Resize", "Cast"):
        name = makers[name].input[0]
    return name in makers and makers[name].op_type in ("Sigmoid", "HardSigmoid")


def _scores(model: Any, output: str | None, where: str) -> str:
    names = [str(o.name) for o in model.graph.output]
    if output is not None:
        if output not in names:
            raise ParameterError(
                f"there is no such output; it has {', '.join(names)}", where=f"--onnx-output {output}"
            )
        return output
    four = [o.name for o in model.graph.output if len(o.type.tensor_type.shape.dim) == 4]
    if len(names) == 1 or len(four) == 1:
        return names[0] if len(names) == 1 else str(four[0])
    raise ParameterError(
        f"it has several outputs: {', '.join(names)}", where=where, hint="Name the scores with --onnx-output"
    )


def _shape(model: Any, where: str, wanted: Shape | None) -> Shape:
    """Return (N, C, H, W) of the only input, which must be float32, with the axes that `wanted` fixes."""
    held = {i.name for i in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in held]
    if len(inputs) != 1 or len(model.graph.input) != 1:
        names = ", ".join(i.name for i in inputs)
        raise GraphError(f"one input is needed, an image; it has {names or 'none'}", where=where)
    tensor = inputs[0].type.tensor_type
    own = tuple(int(d.dim_value) or None for d in tensor.shape.dim)
    if tensor.elem_type != 1 or len(own) != 4:
        raise GraphError("the input is not float32 (N, C, H, W)", where=where)
    merged = tuple(o if w is None else w for o, w in zip(own, wanted or own, strict=True))
    if any(o is not None and o != m for o, m in zip(own, merged, strict=True)):
        raise ParameterError(f"the graph's input is fixed to {own}", where="--input-shape")
    if merged[1] not in (None, 3):
        raise GraphError(f"the input has {merged[1]} channels, not 3", where=where)
    return (merged[0], 3, *merged[2:])
