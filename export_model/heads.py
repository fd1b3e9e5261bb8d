"""Append `labels`, `confidence` and `logits` to an ONNX network that outputs scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model.network import F32, Shape
from quadrat.engines.onnx import library
from quadrat.errors import EngineUnavailableError, GraphError

ROLES = ("labels", "confidence", "logits")
PREFIX = "quadrat_"
MIN_OPSET = 13
"""Opset to which older graphs are converted if they need to be."""
LEAST, LEAST_RESIZED = 9, 11
"""Least opset to which the outputs can be appended, and with a Resize."""
TINY = 1e-12
"""Smallest probability, so that its logarithm is finite."""


def load(data: bytes, where: str) -> Any:
    """Parse and check an ONNX model; GraphError if it is not a valid one."""
    import onnx

    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf, checker and C++ errors share no base
        first = (str(error).splitlines() or [""])[0]
        raise GraphError(f"this is not a valid ONNX model: {first}", where=where) from error
    return model


def opset(model: Any) -> int:
    """Return the version of the standard operators that the model uses."""
    return max((int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)


class _Growth:
    """Adds nodes and constants at the end of a graph, under unique names."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    def node(
        self, kind: str, inputs: list[str], result: str, attributes: Mapping[str, Any] | None = None
    ) -> str:
        """Add a node with one output and return the output's name: that of a role, or a prefixed one."""
        from onnx import helper

        name = result if result in ROLES else PREFIX + result
        self.graph.node.append(
            helper.make_node(kind, inputs, [name], name=PREFIX + "node_" + result, **(attributes or {}))
        )
        return name

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        self.graph.initializer.append(numpy_helper.from_array(value, PREFIX + name))
        return PREFIX + name


@dataclass(frozen=True, slots=True)
class Ending:
    """How the scores (N, K, h, w) of a graph become outputs.

    With `probabilities` they are the output of a softmax or sigmoid, and the logits are their logarithm. One channel
    means a binary network: class 1 where the score is above zero (the probability above one half). With `resize` they
    are interpolated to the size of the input. With `separate` the scores are the only output, as they are.
    `channels_last` scores (N, h, w, K) are transposed, and `half` ones cast to float32.
    """

    channels: int
    probabilities: bool = False
    resize: bool = False
    separate: bool = False
    channels_last: bool = False
    half: bool = False


def append(model: Any, scores: str, ending: Ending) -> Any:
    """Return the model with its outputs replaced by the roles: all three, or `logits` alone if they are separate.

    `scores` names a float tensor. Labels are (N, H, W) uint8, confidence is (N, H, W) float32. Works from opset 9, and
    with `resize` from opset 11.
    """
    from onnx import TensorProto, helper

    graph, version = model.graph, opset(model)
    current = _renamed(graph).get(scores, scores)
    grow = _Growth(graph)
    if ending.channels_last:
        current = grow.node("Transpose", [current], "first", {"perm": [0, 3, 1, 2]})
    if ending.half:
        current = grow.node("Cast", [current], "float", {"to": TensorProto.FLOAT})
    channels = ending.channels
    if not ending.separate:
        current = _as_logits(grow, current, probabilities=ending.probabilities, channels=channels)
        channels = max(2, channels)
    if ending.resize:
        current = _resized(grow, current, graph.input[0].name, version)
    grow.node("Identity", [current], "logits")
    del graph.output[:]
    planes, scored = ["batch", "height", "width"], ["batch", channels, "height", "width"]
    if not ending.separate:
        index = grow.node("ArgMax", [current], "index", {"axis": 1, "keepdims": 0})
        grow.node("Cast", [index], "labels", {"to": TensorProto.UINT8})
        _confidence(grow, current, version)
        graph.output.append(helper.make_tensor_value_info("labels", TensorProto.UINT8, planes))
        graph.output.append(helper.make_tensor_value_info("confidence", TensorProto.FLOAT, planes))
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, scored))
    return model


def _confidence(grow: _Growth, logits: str, version: int) -> None:
    """Add the largest value of the softmax over axis 1: 1 / sum(exp(logits - largest)).

    Softmax itself is over all axes from 1 on before opset 13, and crashes OpenVINO above 2 GB.
    """
    best = _reduced(grow, "ReduceMax", logits, "best", axes_as_input=version >= 18, keep=1)
    below = grow.node("Sub", [logits, best], "below")
    parts = grow.node("Exp", [below], "parts")
    total = _reduced(grow, "ReduceSum", parts, "total", axes_as_input=version >= 13, keep=0)
    grow.node("Reciprocal", [total], "confidence")


def _reduced(grow: _Growth, kind: str, values: str, result: str, *, axes_as_input: bool, keep: int) -> str:
    """Reduce axis 1, which is an attribute before the opset in which it became an input."""
    if axes_as_input:
        axes = grow.constant(f"{result}_axes", np.array([1], np.int64))
        return grow.node(kind, [values, axes], result, {"keepdims": keep})
    return grow.node(kind, [values], result, {"axes": [1], "keepdims": keep})


def append_labels(model: Any, labels: str, *, squeeze: int | None, cast: bool) -> Any:
    """Return the model with the only output `labels` (N, H, W), from the tensor of classes of that name.

    `squeeze` is its axis of length 1, if it has four; with `cast` it is made int64.
    """
    from onnx import TensorProto, helper

    graph, version = model.graph, opset(model)
    current = _renamed(graph).get(labels, labels)
    kind = next((o.type.tensor_type.elem_type for o in graph.output if o.name == labels), TensorProto.INT64)
    grow = _Growth(graph)
    if squeeze is not None and version >= 13:
        axes = grow.constant("axes", np.array([squeeze], np.int64))
        current = grow.node("Squeeze", [current, axes], "plane")
    elif squeeze is not None:
        current = grow.node("Squeeze", [current], "plane", {"axes": [squeeze]})
    if cast:
        current, kind = grow.node("Cast", [current], "whole", {"to": TensorProto.INT64}), TensorProto.INT64
    grow.node("Identity", [current], "labels")
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("labels", kind, ["batch", "height", "width"]))
    return model


def _as_logits(grow: _Growth, scores: str, *, probabilities: bool, channels: int) -> str:
    """Invert softmax or sigmoid, and add the second channel of a binary network."""
    if probabilities:
        if channels == 1:
            rest = grow.node("Sub", [grow.constant("one", np.array(1, np.float32)), scores], "rest")
            scores = grow.node("Concat", [rest, scores], "both", {"axis": 1})
        positive = grow.node("Max", [scores, grow.constant("tiny", np.array(TINY, np.float32))], "positive")
        return grow.node("Log", [positive], "log")
    if channels == 1:
        zero = grow.node("Mul", [scores, grow.constant("zero", np.array(0, np.float32))], "background")
        return grow.node("Concat", [zero, scores], "both", {"axis": 1})
    return scores


def _renamed(graph: Any) -> dict[str, str]:
    """Rename inner tensors that have the name of a role, so that an output can have it; return new names by old."""
    new = {name: PREFIX + "inner_" + name for node in graph.node for name in node.output if name in ROLES}
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new.get(name, name) for name in names]
    return new


def _resized(grow: _Growth, scores: str, image: str, version: int) -> str:
    """Interpolate scores (N, K, h, w) to the height and width of the input."""
    small, full = grow.node("Shape", [scores], "small"), grow.node("Shape", [image], "full")
    start, middle, end = (grow.constant(f"at{i}", np.array([i], np.int64)) for i in (0, 2, 4))
    head = grow.node("Slice", [small, start, middle], "head")
    tail = grow.node("Slice", [full, middle, end], "tail")
    sizes = grow.node("Concat", [head, tail], "sizes", {"axis": 0})
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if version >= 13:
        return grow.node("Resize", [scores, "", "", sizes], "resized", how)
    none = grow.constant(
        "none", np.array([], np.float32)
    )  # earlier the inputs for a region and scales are required
    return grow.node("Resize", [scores, none, none, sizes], "resized", how)


def with_shape(model: Any, shape: Shape) -> Any:
    """Set the shape of the model's input to (N, C, H, W), with names for None; return the model."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for dim, size, name in zip(dims, shape, ("batch", "channels", "height", "width"), strict=True):
        dim.Clear()
        if size is None:
            dim.dim_param = name
        else:
            dim.dim_value = size
    return model


class Runner:
    """Runs an ONNX model with onnxruntime if it is installed, or else with the slow reference of onnx.

    `dtype` is that of its input.
    """

    def __init__(self, data: bytes) -> None:
        import onnx

        try:
            onnxruntime = library()
        except EngineUnavailableError:
            from onnx.reference import ReferenceEvaluator

            self._session: Any = ReferenceEvaluator(onnx.load_model_from_string(data))
            self._input = self._session.input_names[0]
            self._outputs = list(self._session.output_names)
            self.dtype = np.dtype(np.float32)
        else:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4  # what fails is reported by the exporter
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            self._input = self._session.get_inputs()[0].name
            self._outputs = [output.name for output in self._session.get_outputs()]
            half = self._session.get_inputs()[0].type == "tensor(float16)"
            self.dtype = np.dtype(np.float16 if half else np.float32)

    def __call__(self, image: F32, output: str) -> NDArray[Any]:
        """Run (N, C, H, W) float32 and return the output with this name."""
        return np.asarray(self._session.run([output], {self._input: image})[0])

    def every(self, image: F32) -> dict[str, NDArray[Any]]:
        """Run (N, C, H, W) float32 and return all outputs by name."""
        given = self._session.run(self._outputs, {self._input: image})
        return {name: np.asarray(one) for name, one in zip(self._outputs, given, strict=True)}
