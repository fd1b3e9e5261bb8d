"""A made-up network of vectors of objects: it tells greenish fish from purple ones by their mean colour.

vector_archive(path) is an archive about objects; `kind` "blind" gives every object the same vector, and "fragile" gives
purple objects a vector of NaN.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.archives import build, contents

GREENISH, PURPLE = (30, 110, 220), (110, 30, 220)
"""Two blues that examples/models/rectangles.tgz takes for fish."""
SIDE = 16


def vector_onnx(kind: str = "shade") -> bytes:
    """Make a network: x (N, 3, 16, 16) float32 in 0..1 -> vector (N, 3)."""
    middle = np.array([70, 70, 220], np.float32) / 255
    constants = {"middle": middle, "none": np.zeros(3, np.float32), "same": np.array([1, 2, 3], np.float32)}
    endings = {
        "shade": [("Identity", ["shade"], ["vector"])],
        "blind": [("Mul", ["shade", "none"], ["zero"]), ("Add", ["zero", "same"], ["vector"])],
        "fragile": [("Sign", ["shade"], ["sign"]), ("Mul", ["shade", "turn"], ["turned"]), ("Sqrt", ["turned"], ["root"]),
                    ("Mul", ["root", "sign"], ["vector"])],
    }  # fmt: skip
    constants["turn"] = np.array([-1, 1, 0], np.float32)
    steps = [
        ("GlobalAveragePool", ["x"], ["means4"]),
        ("Flatten", ["means4"], ["means"]),
        ("Sub", ["means", "middle"], ["shade"]),
        *endings[kind],
    ]
    graph = helper.make_graph(
        [helper.make_node(*step) for step in steps],
        "vectors",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def vector_archive(path: Path, kind: str = "shade", **changes: Any) -> Path:
    """Write an archive of that network that is about objects, unless `changes` of meta.json say otherwise."""
    words = {
        "name": path.name.partition(".")[0],
        "task": "embed",
        "on": "objects",
        "objects": {"padding": 0, "min-size": 4},
        "classes": [],
        "model": {"type": "Vectors"},
        "outputs": {"vector": "vector"},
        "shape": [-1, 3, SIDE, SIDE],
        **changes,
    }
    transforms = (
        {"type": "Resize", "target_size": [SIDE, SIDE]},
        {"type": "Normalize", "mean": [0, 0, 0], "std": [1, 1, 1]},
    )
    body = contents(network=("model.onnx", vector_onnx(kind)), params=None, transforms=transforms, **words)
    return build(path, body)
