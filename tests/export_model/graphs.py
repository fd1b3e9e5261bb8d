"""Small ONNX classifiers with seeded weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def classifier(
    count: int = 3,
    tail: Sequence[tuple[str, dict]] = (),
    *,
    hw: tuple[int | str, int | str] = (32, 32),
    batch: int | str = "n",
    width: int = 6,
    offset: float = 0.0,
    extra: bool = False,
    names: str = "",
    seed: int = 0,
) -> onnx.ModelProto:
    """Make a network: a convolution, a mean over the picture (N, `width`), a dense layer (N, `count`), then `tail`.

    With `extra` the features are an output, too, before the scores. `names` goes into the metadata.
    """
    rng = np.random.default_rng(seed)
    weights = {
        "w": rng.normal(0, 1, (width, 3, 3, 3)), "dense": rng.normal(0, 2, (width, count)),
        "bias": rng.normal(offset, 0.1, count),
    }  # fmt: skip
    last = ["scores_0", *(f"scores_{i + 1}" for i in range(len(tail)))]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["vector"], axis=1),
        helper.make_node("Gemm", ["vector", "dense", "bias"], [last[0]]),
    ]
    for (kind, attributes), before, after in zip(tail, last, last[1:], strict=False):
        nodes.append(helper.make_node(kind, [before], [after], **attributes))
    outputs = [helper.make_tensor_value_info(last[-1], TensorProto.FLOAT, [batch, count])]
    if extra:
        outputs.insert(0, helper.make_tensor_value_info("vector", TensorProto.FLOAT, [batch, width]))
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, *hw])], outputs,
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if names:
        entry = made.metadata_props.add()
        entry.key, entry.value = "names", names
    return made


def saved(path: Path, model: onnx.ModelProto) -> Path:
    """Write a model, and return its path."""
    onnx.save_model(model, str(path))
    return path
