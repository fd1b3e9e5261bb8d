"""Tiny detectors in every layout, and what their outputs are in numpy.

encode("yolov8", boxes, scores, classes, num_classes=2)     the arrays that a network of this layout gives for one input
specs("yolov8", num_classes=2)                              its outputs as an engine tells them
package("yolov8", num_classes=2)                            an archive that states the layout, without files
constant_onnx("yolov8", encode(...))                        a network that gives these arrays for any input
bright_onnx("yolov8")                                       a network that finds the bright things: one exact box around them
detector_archive(path, "yolov8")                            an archive of that, with its letterbox
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from quadrat.types import ClassInfo, ModelPackage, OutputSpec
from tests.archives import build, contents

LAYOUTS = ("yolov5", "yolov8", "yolov10", "rtdetr", "rtdetr-ultralytics", "rfdetr", "paddledet", "boxes")
"""Layouts of networks whose outputs do not depend on grids; tests/heads.py has the others."""
SLOTS = {
    "yolov5": 1200,
    "yolov8": 1200,
    "yolov10": 300,
    "rtdetr": 300,
    "rtdetr-ultralytics": 300,
    "rfdetr": 300,
}
"""Rows, or columns, that a network of the layout always gives; others give as many as there are objects."""
ROLES = {
    **{
        name: {"predictions": "output0"}
        for name in ("yolov5", "yolov8", "yolov10", "rtdetr-ultralytics", "paddledet")
    },
    "rfdetr": {"boxes": "dets", "logits": "labels"},
    "rtdetr": {"boxes": "boxes", "scores": "scores", "labels": "labels"},
    "boxes": {"boxes": "boxes", "scores": "scores", "labels": "labels"},
}
"""What an archive states as its outputs."""
NO = -9.0
"""A logit of what is not there."""
SCORE = 0.9
"""Score of every object that a bright network finds."""
PLAIN = ({"type": "Normalize", "mean": [0, 0, 0], "std": [1, 1, 1]},)
"""0..1 in place of 0..255."""


def encode(
    layout: str,
    boxes: Any,
    scores: Any,
    classes: Any,
    *,
    num_classes: int,
    hw: tuple[int, int] = (64, 64),
    slots: int | None = None,
) -> dict[str, np.ndarray]:
    """Lay objects out: boxes (M, 4) x0, y0, x1, y1 in pixels of an input of `hw`, scores and classes (M,).

    The arrays are float32 (labels int64) without batch axis, filled up to the layout's slots with nothing.
    """
    box = np.asarray(boxes, np.float32).reshape(-1, 4)
    score = np.asarray(scores, np.float32)
    label = np.asarray(classes, np.int64)
    more = (SLOTS.get(layout, len(box)) if slots is None else slots) - len(box)
    centred = np.concatenate([(box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]], axis=1)
    shares = centred / np.array([hw[1], hw[0]] * 2, np.float32)
    hot = np.eye(num_classes, dtype=np.float32)[label]
    each = hot * score[:, None]

    def fill(rows: np.ndarray, value: float = 0.0) -> np.ndarray:
        return np.pad(rows, [(0, more), *[(0, 0)] * (rows.ndim - 1)], constant_values=value)

    if layout == "yolov5":
        return {"output0": fill(np.concatenate([centred, score[:, None], hot], axis=1))}
    if layout == "yolov8":
        return {"output0": np.ascontiguousarray(fill(np.concatenate([centred, each], axis=1)).T)}
    if layout in ("yolov10", "paddledet"):
        parts = [box, score[:, None], label[:, None]]
        rows = parts if layout == "yolov10" else [parts[2], parts[1], parts[0]]
        return {"output0": fill(np.concatenate(rows, axis=1, dtype=np.float32))}
    if layout == "rtdetr-ultralytics":
        return {"output0": fill(np.concatenate([shares, each], axis=1))}
    if layout == "rfdetr":
        logit = np.log(score / (1 - score))
        logits = np.where(hot > 0, logit[:, None], np.float32(NO)).astype(np.float32)
        return {"dets": fill(shares), "labels": fill(logits, NO)}
    return {"boxes": fill(box), "scores": fill(score), "labels": fill(label)}


def specs(
    layout: str, num_classes: int, *, batch: int | None = None, batched: bool = True
) -> tuple[OutputSpec, ...]:
    """Give the outputs of a network of the layout; `batched` is for "boxes"."""
    slots = SLOTS.get(layout)
    wide = {"yolov5": 5 + num_classes, "yolov10": 6, "rtdetr-ultralytics": 4 + num_classes}
    lead = (batch, slots) if batched else (slots,)
    if layout == "yolov8":
        return (OutputSpec("output0", "float32", (batch, 4 + num_classes, slots)),)
    if layout == "paddledet":
        return (OutputSpec("output0", "float32", (slots, 6)), OutputSpec("count", "int32", (None,)))
    if layout in wide:
        return (OutputSpec("output0", "float32", (batch, slots, wide[layout])),)
    if layout == "rfdetr":
        return (
            OutputSpec("dets", "float32", (batch, slots, 4)),
            OutputSpec("labels", "float32", (batch, slots, num_classes)),
        )
    return (
        OutputSpec("labels", "int64", lead),
        OutputSpec("boxes", "float32", (*lead, 4)),
        OutputSpec("scores", "float32", lead),
    )


def package(
    layout: str | None, num_classes: int | None = 2, outputs: Mapping[str, str] | None = None, **words: Any
) -> ModelPackage:
    """Make a package of so many classes that states this layout, and other `words` of its detector."""
    infos = tuple(ClassInfo(i, f"urn:{i}", f"c{i}", (i % 256,) * 3) for i in range(num_classes or 0))
    detect = {**({"layout": layout} if layout else {}), **words}
    meta = {"task": "detect", "detect": detect}
    return ModelPackage(
        Path(), "tiny", "", "detect", {}, None, (), infos, num_classes,
        (None, 3, None, None), outputs or {}, None, meta,
    )  # fmt: skip


def _model(
    nodes: list[Any],
    outputs: Sequence[OutputSpec],
    constants: Mapping[str, np.ndarray],
    sides: tuple[int | str, ...],
    dtype: str,
) -> bytes:
    """Make a network of images (N, 3, h, w) float32, N, h and w as in `sides`, its floats going out as `dtype`."""
    infos = []
    for one in outputs:
        if one.dtype == "float32" and dtype != "float32":
            nodes = [_renamed(node, one.name, f"{one.name}_f32") for node in nodes]
            nodes.append(helper.make_node("Cast", [f"{one.name}_f32"], [one.name], to=_kind(dtype)))
        kind = _kind(one.dtype if one.dtype != "float32" else dtype)
        shape = [f"{one.name}{i}" if side is None else side for i, side in enumerate(one.shape)]
        infos.append(helper.make_tensor_value_info(one.name, kind, shape))
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [sides[0], 3, *sides[1:]])],
        infos,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def _kind(dtype: str) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _renamed(node: Any, old: str, new: str) -> Any:
    for index, name in enumerate(node.output):
        if name == old:
            node.output[index] = new
    return node


def constant_onnx(
    arrays: Mapping[str, np.ndarray],
    *,
    hw: tuple[int | str, int | str] = (64, 64),
    batch: int | str = "n",
    dtype: str = "float32",
    batched: bool = True,
) -> bytes:
    """Make a network that gives `arrays` (without batch axis) for each input; not `batched`: as they are."""
    constants: dict[str, np.ndarray] = {
        **{f"{name}_c": array for name, array in arrays.items()},
        "first": np.array([0], np.int64), "last": np.array([1], np.int64), "zero": np.float32(0),
        **{f"{name}_s": np.array(array.shape, np.int64) for name, array in arrays.items()},
    }  # fmt: skip
    nodes = [
        helper.make_node("Shape", ["images"], ["shape"]),
        helper.make_node("Slice", ["shape", "first", "last"], ["count"]),
        helper.make_node("ReduceMax", ["images"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "zero"], ["nothing"]),  # so that the input is used
    ]
    outputs = []
    size = batch if isinstance(batch, int) else None
    for name, array in arrays.items():
        kind = str(array.dtype)
        nodes.append(helper.make_node("Cast", ["nothing"], [f"{name}_0"], to=_kind(kind)))
        nodes.append(helper.make_node("Add", [f"{name}_c", f"{name}_0"], [f"{name}_1"]))
        nodes.append(helper.make_node("Concat", ["count", f"{name}_s"], [f"{name}_n"], axis=0))
        if batched:
            nodes.append(helper.make_node("Expand", [f"{name}_1", f"{name}_n"], [name]))
        else:
            nodes.append(helper.make_node("Identity", [f"{name}_1"], [name]))
        outputs.append(OutputSpec(name, kind, (size, *array.shape) if batched else array.shape))
    return _model(nodes, outputs, constants, (batch, *hw), dtype)


def bright_onnx(
    layout: str = "yolov8",
    *,
    num_classes: int = 2,
    hw: tuple[int, int] = (64, 64),
    batch: int | str = "n",
    dtype: str = "float32",
    batched: bool = True,
) -> bytes:
    """Make a network that gives one exact box around all pixels brighter than 0.7 in any channel (input 0..1).

    Its score is SCORE, its class 1 where the greenest of them has more green than the reddest has red,
    else 0. A black input, or one of the letterbox's grey, has nothing. `batched` is for "boxes".
    """
    lay: dict[str, Callable[[str, int, tuple[int, int]], tuple[list[Any], dict[str, Any]]]] = {
        "yolov5": _rows, "yolov8": _rows, "yolov10": _rows, "rtdetr-ultralytics": _rows, "rfdetr": _logits,
        "rtdetr": _columns, "boxes": _columns if batched else _alone, "paddledet": _counted,
    }  # fmt: skip
    nodes, constants = _finder(num_classes)
    more, others = lay[layout](layout, num_classes, hw)
    size = batch if isinstance(batch, int) else None
    outputs = specs(layout, num_classes, batch=size, batched=batched)
    return _model(nodes + more, outputs, constants | others, (batch, *hw), dtype)


def _finder(num_classes: int) -> tuple[list[Any], dict[str, Any]]:
    """From images: box (N, 1, 4), score (N, 1, 1), label (N, 1) int64, hot (N, 1, classes)."""
    node = helper.make_node
    nodes = [
        node("ReduceMax", ["images"], ["best"], axes=[1], keepdims=1),
        node("Greater", ["best", "limit"], ["over"]),
        node("Cast", ["over"], ["mask"], to=TensorProto.FLOAT),
        node("Split", ["images"], ["red", "green", "blue"], axis=1),
    ]
    for name, axes in (("x", [1, 2]), ("y", [1, 3])):
        nodes += [
            node("ReduceMax", ["mask"], [f"{name}_line"], axes=axes, keepdims=0),
            node("ArgMax", [f"{name}_line"], [f"{name}0"], axis=1, keepdims=1),
            node("ArgMax", [f"{name}_line"], [f"{name}_last"], axis=1, keepdims=1, select_last_index=1),
            node("Add", [f"{name}_last", "one"], [f"{name}1"]),
        ]
    for name in ("red", "green"):
        nodes += [
            node("Mul", [name, "mask"], [f"{name}_seen"]),
            node("ReduceMax", [f"{name}_seen"], [f"{name}_most"], axes=[1, 2, 3], keepdims=1),
        ]
    nodes += [
        node("Concat", ["x0", "y0", "x1", "y1"], ["corners"], axis=1),
        node("Unsqueeze", ["corners", "axis1"], ["corners3"]),
        node("Cast", ["corners3"], ["box"], to=TensorProto.FLOAT),
        node("ReduceMax", ["mask"], ["any4"], axes=[2, 3], keepdims=1),
        node("Squeeze", ["any4", "axis3"], ["any"]),
        node("Mul", ["any", "sure"], ["score"]),
        node("Greater", ["green_most", "red_most"], ["greener"]),
        node("Squeeze", ["greener", "axes23"], ["greener2"]),
        node("Cast", ["greener2"], ["label_1"], to=TensorProto.INT64),
        node("OneHot", ["label_1", "depth", "off_on"], ["hot"], axis=-1),
    ]
    constants = {
        "limit": np.float32(0.7), "one": np.int64(1), "sure": np.float32(SCORE),
        "axis1": np.array([1]), "axis3": np.array([3]), "axes23": np.array([2, 3]),
        "depth": np.array([num_classes], np.int64), "off_on": np.array([0, 1], np.float32),
    }  # fmt: skip
    return nodes, constants


def _centres(hw: tuple[int, int] | None) -> np.ndarray:
    """The matrix from x0, y0, x1, y1 to centre and size, in shares of `hw` where it is given."""
    matrix = np.array([[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]], np.float32)
    return matrix if hw is None else matrix / np.array([hw[1], hw[0]] * 2, np.float32)


def _filled(
    layout: str, name: str, out: str, value: float = 0.0, axes: int = 3
) -> tuple[Any, dict[str, Any]]:
    """A node that fills (N, 1, ...) up to the layout's slots."""
    pads = np.zeros(2 * axes, np.int64)
    pads[axes + 1] = SLOTS.get(layout, 1) - 1
    node = helper.make_node("Pad", [name, f"{out}_pads", f"{out}_value"], [out])
    return node, {f"{out}_pads": pads, f"{out}_value": np.float32(value)}


def _rows(layout: str, _: int, hw: tuple[int, int]) -> tuple[list[Any], dict[str, Any]]:
    node = helper.make_node
    filler, constants = _filled(layout, "rows", "output0" if layout != "yolov8" else "filled")
    constants["matrix"] = _centres(hw if layout == "rtdetr-ultralytics" else None)
    nodes = [
        node("MatMul", ["box", "matrix"], ["centred"]),
        node("Mul", ["hot", "score"], ["each"]),
        node("Cast", ["label_1"], ["label_f"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["label_f", "last_axis"], ["label_3"]),
    ]
    constants["last_axis"] = np.array([2])
    parts = {
        "yolov5": ["centred", "score", "hot"],
        "yolov8": ["centred", "each"],
        "yolov10": ["box", "score", "label_3"],
        "rtdetr-ultralytics": ["centred", "each"],
    }
    nodes += [node("Concat", parts[layout], ["rows"], axis=2), filler]
    if layout == "yolov8":
        nodes.append(node("Transpose", ["filled"], ["output0"], perm=[0, 2, 1]))
    return nodes, constants


def _logits(layout: str, _: int, hw: tuple[int, int]) -> tuple[list[Any], dict[str, Any]]:
    node = helper.make_node
    boxes, constants = _filled(layout, "shares", "dets")
    labels, others = _filled(layout, "logit", "labels", NO)
    yes = np.log(SCORE / (1 - SCORE))
    nodes = [
        node("MatMul", ["box", "matrix"], ["shares"]),
        node("Mul", ["hot", "score"], ["each"]),
        node("Mul", ["each", "rise"], ["risen"]),
        node("Add", ["risen", "no"], ["logit"]),
        boxes,
        labels,
    ]
    numbers = {"rise": np.float32((yes - NO) / SCORE), "no": np.float32(NO), "matrix": _centres(hw)}
    return nodes, constants | others | numbers


def _columns(layout: str, _: int, _hw: tuple[int, int]) -> tuple[list[Any], dict[str, Any]]:
    node = helper.make_node
    box, constants = _filled(layout, "box", "boxes")
    score, others = _filled(layout, "score_2", "scores", axes=2)
    label, last = _filled(layout, "label_1", "labels", axes=2)
    last["labels_value"] = np.int64(0)
    nodes = [node("Squeeze", ["score", "last_axis"], ["score_2"]), box, score, label]
    return nodes, constants | others | last | {"last_axis": np.array([2])}


def _alone(_layout: str, _: int, _hw: tuple[int, int]) -> tuple[list[Any], dict[str, Any]]:
    """Of one input, without a batch axis, and only what is there."""
    node = helper.make_node
    nodes = [
        node("Squeeze", ["score", "axes02"], ["score_1"]),
        node("Squeeze", ["box", "axis0"], ["box_2"]),
        node("Squeeze", ["label_1", "axis0"], ["label_0"]),
        node("NonZero", ["score_1"], ["there_2"]),
        node("Squeeze", ["there_2", "axis0"], ["there"]),
        node("Gather", ["box_2", "there"], ["boxes"], axis=0),
        node("Gather", ["score_1", "there"], ["scores"], axis=0),
        node("Gather", ["label_0", "there"], ["labels"], axis=0),
    ]
    return nodes, {"axes02": np.array([0, 2]), "axis0": np.array([0])}


def _counted(layout: str, num_classes: int, hw: tuple[int, int]) -> tuple[list[Any], dict[str, Any]]:
    """Of one input, in rows, with their count."""
    nodes, constants = _alone(layout, num_classes, hw)
    node = helper.make_node
    nodes += [
        node("Cast", ["labels"], ["labels_f"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["labels_f", "axis1"], ["labels_2"]),
        node("Unsqueeze", ["scores", "axis1"], ["scores_2"]),
        node("Concat", ["labels_2", "scores_2", "boxes"], ["output0"], axis=1),
        node("Shape", ["there"], ["many"]),
        node("Cast", ["many"], ["count"], to=TensorProto.INT32),
    ]
    return nodes, constants


def detector_archive(
    path: Path,
    layout: str = "yolov8",
    *,
    network: bytes | None = None,
    hw: tuple[int, int] = (64, 64),
    batch: int | str = "n",
    batched: bool = True,
    transforms: Sequence[Mapping[str, Any]] | None = None,
    **changes: Any,
) -> Path:
    """Write an archive of a bright network (or of `network`) in this layout: red 0 and green 1.

    `changes` go into meta.json. Its pictures are letterboxed to `hw` unless `transforms` says otherwise.
    """
    body = network or bright_onnx(layout, hw=hw, batch=batch, batched=batched)
    words = {
        "task": "detect",
        "detect": {"layout": layout},
        "classes": [
            {"name": "red", "def_color": [220, 0, 0]}, {"name": "green", "def_color": [0, 160, 0]},
        ],
        "outputs": ROLES[layout],
        "shape": [batch if isinstance(batch, int) else -1, 3, *hw],
        **changes,
    }  # fmt: skip
    steps = transforms or ({"type": "Letterbox", "size": [hw[1], hw[0]]}, *PLAIN)
    return build(path, contents(network=("model.onnx", body), params=None, transforms=steps, **words))


__all__ = ["LAYOUTS", "bright_onnx", "constant_onnx", "detector_archive", "encode", "package", "specs"]
