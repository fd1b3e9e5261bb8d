"""Append `labels`, `confidence` and `logits` to an ONNX network that gives scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model.network import F32, Shape
from quadrat.errors import GraphError

ROLES = ("labels", "confidence", "logits")
PREFIX = "quadrat_"
MIN_OPSET = 13


def load(data: bytes, where: str) -> Any:
    """Parse and check an ONNX model; GraphError if it is none or breaks ONNX's own rules."""
    import onnx

    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf, checker and C++ errors share no base
        first = (str(error).splitlines() or [""])[0]
        raise GraphError(f"this is no valid ONNX model: {first}", where=where) from error
    return model


def opset(model: Any) -> int:
    """Version of the standard operators that the model uses."""
    return max((int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)


def append(model: Any, scores: str, *, probabilities: bool, channels: int, resize: bool) -> Any:
    """Return the model with its outputs replaced by the three roles.

    `scores` names a float tensor (N, K, h, w). `probabilities`: it is past softmax, and its
    logarithm is taken as logits. One channel is a binary network: class 1 where its score is above
    zero. `resize`: scores are smaller than the input, and are interpolated to its size first.
    Labels are uint8, (N, H, W), like confidence, float32.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    nodes: list[Any] = []

    def add(kind: str, inputs: list[str], result: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [result], name=PREFIX + result, **attributes))
        return result

    def constant(name: str, value: NDArray[Any]) -> str:
        graph.initializer.append(numpy_helper.from_array(value, PREFIX + name))
        return PREFIX + name

    current = _renamed(graph, scores) if scores in ROLES else scores
    if probabilities and channels == 1:
        rest = add("Sub", [constant("one", np.array(1, np.float32)), current], PREFIX + "rest")
        current = add("Concat", [rest, current], PREFIX + "both", axis=1)
    if probabilities:
        floor = add("Max", [current, constant("tiny", np.array(1e-12, np.float32))], PREFIX + "positive")
        current = add("Log", [floor], PREFIX + "log")
    elif channels == 1:
        zero = add("Mul", [current, constant("zero", np.array(0, np.float32))], PREFIX + "background")
        current = add("Concat", [zero, current], PREFIX + "both", axis=1)
    if resize:
        current = _resized(add, constant, current, graph.input[0].name)
    clash = {name for node in graph.node for name in node.output if name in ROLES}
    if clash:
        raise GraphError(f"the graph has inner tensors called {', '.join(sorted(clash))}", where="--onnx")
    add("Identity", [current], "logits")
    add(
        "Cast",
        [add("ArgMax", [current], PREFIX + "index", axis=1, keepdims=0)],
        "labels",
        to=TensorProto.UINT8,
    )
    soft = add("Softmax", [current], PREFIX + "softmax", axis=1)
    if opset(model) >= 18:
        add("ReduceMax", [soft, constant("axes", np.array([1], np.int64))], "confidence", keepdims=0)
    else:
        add("ReduceMax", [soft], "confidence", axes=[1], keepdims=0)
    graph.node.extend(nodes)
    del graph.output[:]
    planes = ["batch", "height", "width"]
    graph.output.extend(
        [
            helper.make_tensor_value_info("labels", TensorProto.UINT8, planes),
            helper.make_tensor_value_info("confidence", TensorProto.FLOAT, planes),
            helper.make_tensor_value_info(
                "logits", TensorProto.FLOAT, ["batch", max(2, channels), "height", "width"]
            ),
        ]
    )
    return model


def _renamed(graph: Any, name: str) -> str:
    """Give another name to an inner tensor, so that an output may have its own."""
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [PREFIX + "scores" if n == name else n for n in names]
    return PREFIX + "scores"


def _resized(add: Any, constant: Any, scores: str, image: str) -> str:
    """Interpolate scores (N, K, h, w) to the height and width of the input."""
    small, full = add("Shape", [scores], PREFIX + "small"), add("Shape", [image], PREFIX + "full")
    start, middle, end = (constant(f"at{i}", np.array([i], np.int64)) for i in (0, 2, 4))
    head = add("Slice", [small, start, middle], PREFIX + "head")
    tail = add("Slice", [full, middle, end], PREFIX + "tail")
    sizes = add("Concat", [head, tail], PREFIX + "sizes", axis=0)
    resized: str = add(
        "Resize", [scores, "", "", sizes], PREFIX + "resized",
        mode="linear", coordinate_transformation_mode="pytorch_half_pixel",
    )  # fmt: skip
    return resized


def with_shape(model: Any, shape: Shape) -> Any:
    """Write (N, C, H, W) into the model's input, names where None; return the model."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for dim, size, name in zip(dims, shape, ("batch", "channels", "height", "width"), strict=True):
        dim.Clear()
        if size is None:
            dim.dim_param = name
        else:
            dim.dim_value = size
    return model


class Runner:
    """Run an ONNX model: onnxruntime where it is installed, else onnx's own slow reference."""

    def __init__(self, data: bytes) -> None:
        import onnx

        try:
            import onnxruntime
        except ImportError:
            from onnx.reference import ReferenceEvaluator

            self._session: Any = ReferenceEvaluator(onnx.load_model_from_string(data))
            self._input = self._session.input_names[0]
        else:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            self._input = self._session.get_inputs()[0].name

    def __call__(self, image: F32, output: str) -> NDArray[Any]:
        """Run (N, C, H, W) float32 and return the output of that name."""
        return np.asarray(self._session.run([output], {self._input: image})[0])
