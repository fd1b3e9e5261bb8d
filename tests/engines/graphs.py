"""Tiny ONNX networks, good and bad: a 1x1 convolution to class scores, with one or three outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = np.array([[1, -1, 0.5], [-0.5, 1, 0.25], [0.1, 0.2, -1]], np.float32)[:, :, None, None]
"""(classes, channels, 1, 1)"""


def scores(batch: np.ndarray) -> np.ndarray:
    """Compute the network's class scores with numpy: (N, 3, H, W) -> (N, 3, H, W)."""
    return np.einsum("kc,nchw->nkhw", WEIGHTS[:, :, 0, 0], batch)


def network(outputs: Sequence[str] = ("labels",)) -> Any:
    """Build x (N, 3, H, W) -> any of labels (int64), confidence, logits (float32)."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["logits"]),
        helper.make_node("ArgMax", ["logits"], ["labels"], axis=1, keepdims=0),
        helper.make_node("Softmax", ["logits"], ["shares"], axis=1),
        helper.make_node("ReduceMax", ["shares", "axes"], ["confidence"], keepdims=0),
    ]
    axes = {
        "labels": (TensorProto.INT64, ["n", "h", "w"]),
        "confidence": (TensorProto.FLOAT, ["n", "h", "w"]),
        "logits": (TensorProto.FLOAT, ["n", 3, "h", "w"]),
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(name, *axes[name]) for name in outputs],
        [numpy_helper.from_array(WEIGHTS, "w"), numpy_helper.from_array(np.array([1]), "axes")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def foreign_operator() -> Any:
    """Build a network with an operator of a domain of its own."""
    model = network()
    model.graph.node[0].domain = "evil.example"
    model.opset_import.append(helper.make_opsetid("evil.example", 1))
    return model


def hidden_operator() -> Any:
    """Build a network whose foreign operator lies inside the branch of an If."""
    model = network()
    branch = helper.make_graph([helper.make_node("Run", [], ["y"], domain="evil.example")], "b", [], [])
    branch.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1]))
    model.graph.node.append(helper.make_node("If", ["w"], ["z"], then_branch=branch, else_branch=branch))
    return model


def own_function() -> Any:
    """Build a network with a function defined in the file."""
    model = network()
    body = [helper.make_node("Identity", ["a"], ["b"])]
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("com.microsoft", "F", ["a"], ["b"], body, opsets))
    return model


def outside_weights() -> Any:
    """Build a network whose weights lie in another file."""
    model = network()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return model


def other_program() -> Any:
    """Build a network with an EPContext, which carries another compiler's blob."""
    model = network()
    model.graph.node[0].op_type = "EPContext"
    model.graph.node[0].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def two_inputs() -> Any:
    """Build a network with a second input that is not used."""
    model = network()
    model.graph.input.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1]))
    return model


def unknown_operator() -> Any:
    """Build a network with an operator that ONNX itself does not know."""
    model = network()
    model.graph.node[0].op_type = "Konv"
    return model


def write(model: Any, path: Path) -> Path:
    """Write a network without any check and give its path."""
    path.write_bytes(model.SerializeToString())
    return path


def valid(model: Any) -> bool:
    """Whether ONNX's own checker takes the network."""
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError:
        return False
    return True
