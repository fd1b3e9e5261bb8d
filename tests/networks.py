"""Small networks whose answers are known exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from tests.archives import build, contents

ROLES = {"labels": "labels", "confidence": "confidence", "logits": "logits"}


def brightness_onnx(
    outputs: tuple[str, ...] = ("labels", "confidence", "logits"), channels: int = 2
) -> bytes:
    """Make a network that calls a pixel class 1 where its mean over RGB is above 0.5 after Normalize, else 0.

    With more channels the others never win. Input x (N, 3, H, W) float32, all of N, H and W free.
    """
    weights = [-1.0] * 3 + [1.0] * 3 + [0.0] * 3 * (channels - 2)
    bias = [0.0, 0.0] + [-100.0] * (channels - 2)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["logits"]),
        helper.make_node("ArgMax", ["logits"], ["classes"], axis=1, keepdims=0),
        helper.make_node("Cast", ["classes"], ["labels"], to=TensorProto.INT32),
        helper.make_node("Softmax", ["logits"], ["shares"], axis=1),
        helper.make_node("ReduceMax", ["shares"], ["confidence"], axes=[1], keepdims=0),
    ]
    kinds = {"labels": TensorProto.INT32, "confidence": TensorProto.FLOAT, "logits": TensorProto.FLOAT}
    shapes: dict[str, list[Any]] = {
        "labels": ["n", "h", "w"], "confidence": ["n", "h", "w"], "logits": ["n", channels, "h", "w"],
    }  # fmt: skip
    graph = helper.make_graph(
        nodes, "brightness",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(name, kinds[name], shapes[name]) for name in outputs],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [channels, 3, 1, 1], weights),
            helper.make_tensor("b", TensorProto.FLOAT, [channels], bias),
        ],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def brightness_archive(path: Path, **changes: Any) -> Path:
    """Write an archive of that network: sand where dark, seagrass where bright, with all three outputs."""
    changes = {"outputs": ROLES, **changes}
    return build(path, contents(network=("model.onnx", brightness_onnx()), params=None, **changes))


def argmax_archive(path: Path, **changes: Any) -> Path:
    """Write an archive of that network as the original has it: one output of classes, nothing said of it."""
    body = brightness_onnx(("labels",))
    return build(path, contents(network=("model.onnx", body), params=None, **changes))


def colour_archive(path: Path, *, broken: bool = False, **changes: Any) -> Path:
    """Write an archive of a network whose vector is the mean colour of the picture, in 0..1 and RGB order.

    If `broken`, the vector is divided by the sum of the colour, which is 0 / 0 for a black picture.
    """
    nodes = [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[2, 3], keepdims=0)]
    last = "mean"
    if broken:
        nodes += [
            helper.make_node("ReduceSum", ["mean", "axes"], ["sum"], keepdims=1),
            helper.make_node("Div", ["mean", "sum"], ["shares"]),
        ]
        last = "shares"
    graph = helper.make_graph(
        nodes, "colour",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])] if broken else [],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    changes = {"task": "embed", "name": "colour", "classes": [], "model": {}, **changes}
    plain = [{"type": "Normalize", "mean": [0, 0, 0], "std": [1, 1, 1]}]
    return build(
        path,
        contents(network=("model.onnx", model.SerializeToString()), params=None, transforms=plain, **changes),
    )


def deadly_archive(path: Path) -> Path:
    """Write an archive of a network that crashes OpenVINO on a batch with an image that is all white, by a bad index."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["scores"]),
        helper.make_node("ReduceMean", ["x", "axes"], ["means"], keepdims=0),
        helper.make_node("ReduceMax", ["means"], ["brightest"], keepdims=0),
        helper.make_node("Greater", ["brightest", "threshold"], ["is_white"]),
        helper.make_node("Cast", ["is_white"], ["number"], to=TensorProto.INT64),
        helper.make_node("Mul", ["number", "index"], ["at"]),
        helper.make_node("GatherND", ["scores", "at"], ["found"]),
        helper.make_node("ReduceMax", ["found"], ["one"], keepdims=0),
        helper.make_node("Mul", ["one", "zero"], ["nothing"]),
        helper.make_node("Add", ["scores", "nothing"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes, "deadly",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2, "h", "w"])],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [2, 3, 1, 1], [1, -1, 0.5, -0.5, 1, 0.25]),
            helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
            helper.make_tensor("threshold", TensorProto.FLOAT, [], [0.9]),
            helper.make_tensor("index", TensorProto.INT64, [1, 4], [10**9, 5, 7, 10**9]),
            helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        ],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return build(path, contents(network=("model.onnx", model.SerializeToString()), params=None))
