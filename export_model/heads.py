"""Append `labels`, `confidence` and `logits` to an ONNX network that outputs scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model.network import F32, Shape
from quadrat.engines.onnx import library
from quadrat.errors import EngineUnavailableError, GraphError

ROLES = ("labels", "confidence", "logits")
PREFIX = "quadrat_"
MIN_OPSET = 13
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


def append(model: Any, scores: str, *, probabilities: bool, channels: int, resize: bool) -> Any:
    """Return the model with its outputs replaced by the three roles.

    `scores` names a float tensor (N, K, h, w). With `probabilities` it holds the output of a softmax, and the logits
    are its logarithm. One channel means a binary network: class 1 where the score is above zero (the probability
    above one half). With `resize` the scores are interpolated to the size of the input. Labels are (N, H, W) uint8,
    confidence is (N, H, W) float32.
    """
    from onnx import TensorProto, helper

    graph = model.graph
    current = _renamed(graph).get(scores, scores)
    grow = _Growth(graph)
    current = _as_logits(grow, current, probabilities=probabilities, channels=channels)
    if resize:
        current = _resized(grow, current, graph.input[0].name)
    grow.node("Identity", [current], "logits")
    index = grow.node("ArgMax", [current], "index", {"axis": 1, "keepdims": 0})
    grow.node("Cast", [index], "labels", {"to": TensorProto.UINT8})
    soft = grow.node("Softmax", [current], "softmax", {"axis": 1})
    if opset(model) >= 18:
        axes = grow.constant("axes", np.array([1], np.int64))
        grow.node("ReduceMax", [soft, axes], "confidence", {"keepdims": 0})
    else:
        grow.node("ReduceMax", [soft], "confidence", {"axes": [1], "keepdims": 0})
    del graph.output[:]
    planes, scored = ["batch", "height", "width"], ["batch", max(2, channels), "height", "width"]
    graph.output.append(helper.make_tensor_value_info("labels", TensorProto.UINT8, planes))
    graph.output.append(helper.make_tensor_value_info("confidence", TensorProto.FLOAT, planes))
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, scored))
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


def _resized(grow: _Growth, scores: str, image: str) -> str:
    """Interpolate scores (N, K, h, w) to the height and width of the input."""
    small, full = grow.node("Shape", [scores], "small"), grow.node("Shape", [image], "full")
    start, middle, end = (grow.constant(f"at{i}", np.array([i], np.int64)) for i in (0, 2, 4))
    head = grow.node("Slice", [small, start, middle], "head")
    tail = grow.node("Slice", [full, middle, end], "tail")
    sizes = grow.node("Concat", [head, tail], "sizes", {"axis": 0})
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return grow.node("Resize", [scores, "", "", sizes], "resized", how)


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
    """Runs an ONNX model with onnxruntime if it is installed, or else with the slow reference of onnx."""

    def __init__(self, data: bytes) -> None:
        import onnx

        try:
            onnxruntime = library()
        except EngineUnavailableError:
            from onnx.reference import ReferenceEvaluator

            self._session: Any = ReferenceEvaluator(onnx.load_model_from_string(data))
            self._input = self._session.input_names[0]
            self._outputs = list(self._session.output_names)
        else:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            self._input = self._session.get_inputs()[0].name
            self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, image: F32, output: str) -> NDArray[Any]:
        """Run (N, C, H, W) float32 and return the output with this name."""
        return np.asarray(self._session.run([output], {self._input: image})[0])

    def every(self, image: F32) -> dict[str, NDArray[Any]]:
        """Run (N, C, H, W) float32 and return all outputs by name."""
        given = self._session.run(self._outputs, {self._input: image})
        return {name: np.asarray(one) for name, one in zip(self._outputs, given, strict=True)}
