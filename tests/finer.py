"""A made-up classifier of objects: which of red, green and blue a crop has most of.

Register it with monkeypatch.setitem(task_kinds.TASKS, TASK, "tests.finer:KIND"); colour_archive(path) is an archive of it,
whose scores are the shares of the three colours. A crop whose best share is above the archive's `fragile` fails,
and one above `nan` has scores that are not numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from quadrat.errors import EngineRunError
from quadrat.geometry import Window
from quadrat.predictions import Classification
from quadrat.task_kinds import TaskKind
from quadrat.types import ClassInfo, Frame, ModelPackage, OutputSpec, Part
from tests.archives import build, contents

TASK = "colour"
NAMES = ("red", "green", "blue")


class ColourFold:
    """Takes the shares of one crop."""

    windows: tuple[Window | None, ...] = (None,)

    def __init__(self, fragile: float, nan: float) -> None:
        self._fragile, self._nan = fragile, nan
        self._scores = np.zeros(3, np.float32)

    def add(self, _number: int, part: Part) -> None:
        """Take the scores."""
        self._scores = part.arrays["shares"].astype(np.float32)
        if self._scores.max() > self._fragile:
            raise EngineRunError("this crop is too plain")
        if self._scores.max() > self._nan:
            self._scores = np.full_like(self._scores, np.nan)

    def finish(self) -> Classification:
        """Give them."""
        return Classification(self._scores)


class ColourTask:
    """Starts a fold for each crop."""

    name = TASK
    wanted = ("shares",)
    batched = True

    def __init__(self, package: ModelPackage, _outputs: Sequence[OutputSpec]) -> None:
        self._fragile = float(package.meta.get("fragile", 1.0))
        self._nan = float(package.meta.get("nan", 1.0))

    def start(self, _frame: Frame) -> ColourFold:
        """Plan one part."""
        return ColourFold(self._fragile, self._nan)


def object_cells(prediction: Classification, classes: Sequence[ClassInfo]) -> Mapping[str, Any]:
    """Give class and score."""
    index = int(prediction.scores.argmax())
    return {
        "class_id": classes[index].id,
        "class": classes[index].name,
        "score": round(float(prediction.scores[index]), 4),
    }


def object_class(prediction: Classification) -> tuple[int, float] | None:
    """Give class and score."""
    index = int(prediction.scores.argmax())
    return index, float(prediction.scores[index])


KIND = TaskKind(
    name=TASK,
    prediction=Classification,
    pictures={},
    groups=(),
    make="tests.finer:ColourTask",
    collector="tests.dark_pixels:Collector",
    tables="tests.dark_pixels:Tables",
    annotate="tests.dark_pixels:annotate",
    class_urn="urn:example:colour:",
    max_classes=10,
    model_schema="urn:example:colour.model.1",
    object_cells="tests.finer:object_cells",
    object_class="tests.finer:object_class",
)


def colour_onnx() -> bytes:
    """Make a network of the share of each channel: x (N, 3, 16, 16) float32 in 0..1 -> shares (N, 3)."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["means4"]),
        helper.make_node("Flatten", ["means4"], ["means"]),
        helper.make_node("ReduceSum", ["means", "axis"], ["all"], keepdims=1),
        helper.make_node("Add", ["all", "little"], ["sum"]),
        helper.make_node("Div", ["means", "sum"], ["shares"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colour",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["n", 3])],
        [
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
            helper.make_tensor("little", TensorProto.FLOAT, [], [1e-6]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def colour_archive(path: Path, **changes: Any) -> Path:
    """Write an archive of that network that is about objects, unless `changes` of meta.json say otherwise."""
    words = {
        "name": "colour",
        "task": TASK,
        "on": "objects",
        "objects": {"padding": 0, "min-size": 4},
        "classes": [{"name": name} for name in NAMES],
        "outputs": {"shares": "shares"},
        "shape": [-1, 3, 16, 16],
        **changes,
    }
    transforms = (
        {"type": "Resize", "target_size": [16, 16]},
        {"type": "Normalize", "mean": [0, 0, 0], "std": [1, 1, 1]},
    )
    body = contents(network=("model.onnx", colour_onnx()), params=None, transforms=transforms, **words)
    return build(path, body)
