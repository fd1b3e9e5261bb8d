"""Tiny ONNX networks, good and bad: a 1x1 convolution to class scores, with one or three outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
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


def two_inputs() -> Any:
    """Build a network with a second input that is not used."""
    model = network()
    model.graph.input.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1]))
    return model


def whole_numbers() -> Any:
    """Build a network whose input is int32."""
    model = network()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32
    model.graph.node.insert(0, helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT))
    model.graph.node[1].input[0] = "f"
    return model


def unknown_operator() -> Any:
    """Build a network with an operator unknown to ONNX."""
    model = network()
    model.graph.node[0].op_type = "Konv"
    return model


def write(model: Any, path: Path) -> Path:
    """Write a network without checks and return its path."""
    path.write_bytes(model.SerializeToString())
    return path
