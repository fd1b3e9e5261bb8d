"""Small classifiers whose answers are known exactly, and the real one of PaddleOCR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from tests.archives import build, contents

COLORS = ("red", "green", "blue")
"""The classes of `color_archive`."""
NORMALIZE = {"type": "Normalize", "mean": [0.0], "std": [1.0]}


def color_onnx(
    weights: Sequence[Sequence[float]] = ((10, 0, 0), (0, 10, 0), (0, 0, 10)),
    bias: Sequence[float] | None = None,
    *,
    tail: str = "",
    nan_above: float | None = None,
) -> bytes:
    """Make a network whose values are a linear function of the mean red, green and blue (0 to 1).

    Input x (N, 3, H, W) float32, all of N, H and W free; outputs `values` (N, K), after `tail` ("Softmax" or
    "Sigmoid") if there is one, and `means` (N, 3). With `nan_above`, the values of brighter pictures are NaN.
    """
    matrix = np.array(weights, np.float32).T
    added = np.zeros(matrix.shape[1], np.float32) if bias is None else np.array(bias, np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"], axis=1),
        helper.make_node("Gemm", ["means", "w", "b"], ["linear"]),
    ]
    last = "linear"
    if tail:
        nodes.append(helper.make_node(tail, [last], ["shares"], **({"axis": 1} if tail == "Softmax" else {})))
        last = "shares"
    if nan_above is not None:
        nodes += [
            helper.make_node("ReduceMean", ["means"], ["grey"], axes=[1], keepdims=1),
            helper.make_node("Sub", ["limit", "grey"], ["room"]),
            helper.make_node("Sqrt", ["room"], ["root"]),
            helper.make_node("Sub", ["root", "root"], ["nothing"]),
            helper.make_node("Add", [last, "nothing"], ["checked"]),
        ]
        last = "checked"
    nodes.append(helper.make_node("Identity", [last], ["values"]))
    graph = helper.make_graph(
        nodes, "colors",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [
            helper.make_tensor_value_info("values", TensorProto.FLOAT, ["n", matrix.shape[1]]),
            helper.make_tensor_value_info("means", TensorProto.FLOAT, ["n", 3]),
        ],
        [
            helper.make_tensor("w", TensorProto.FLOAT, matrix.shape, matrix.ravel()),
            helper.make_tensor("b", TensorProto.FLOAT, added.shape, added),
            helper.make_tensor("limit", TensorProto.FLOAT, [1, 1], [nan_above or 0.0]),
        ],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def color_archive(
    path: Path,
    classes: Sequence[str] = COLORS,
    *,
    words: Mapping[str, Any] | None = None,
    network: bytes | None = None,
    role: str = "logits",
    transforms: Sequence[Mapping[str, Any]] = (NORMALIZE,),
    **changes: Any,
) -> Path:
    """Write an archive of `color_onnx`: `words` is its entry "classify", `role` that of its values."""
    changes = {
        "name": "colors",
        "task": "classify",
        "classes": [{"name": name} for name in classes],
        "outputs": {role: "values", "features": "means"},
        **({} if words is None else {"classify": dict(words)}),
        **changes,
    }
    body = color_onnx() if network is None else network
    return build(path, contents(network=("model.onnx", body), params=None, transforms=transforms, **changes))


def turned_archive(path: Path, network: Path) -> Path:
    """Write an archive of PaddleOCR's classifier: a line of text is upright or turned."""
    return build(
        path,
        contents(
            network=("model.onnx", network.read_bytes()),
            params=None,
            transforms=(
                {"type": "Letterbox", "size": [192, 48], "color": 128, "center": False},
                {"type": "ToBGR"},
                {"type": "Normalize", "mean": [0.5], "std": [0.5]},
            ),
            name="turned",
            task="classify",
            classes=[{"name": "upright"}, {"name": "turned"}],
            shape=[-1, 3, 48, 192],
            classify={"activation": "none"},
        ),
    )
