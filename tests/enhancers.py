"""Small networks that make pictures, with known scale and reach, and archives of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from quadrat.geometry import Geometry
from quadrat.package.enhance import EnhanceWords, to_meta, transforms_of
from quadrat.parameters import TileSettings
from quadrat.predictions import Enhanced
from quadrat.tasks.enhance.network import NetworkPictures, make_network
from quadrat.transforms import build as build_transforms
from quadrat.types import Frame, FrameKey, ModelPackage, OutputSpec, Part, TransformSpec
from tests.archives import build, contents

DEPTH = 3
"""The number of 3x3 convolutions, and so the reach."""


def enlarger(
    scale: int = 2,
    *,
    channels: int = 3,
    out: int | None = None,
    depth: int = DEPTH,
    wide: int = 8,
    norm: bool = False,
    stride: int = 1,
    hw: tuple[Any, Any] = ("h", "w"),
    last: bool = False,
    seed: int = 0,
) -> bytes:
    """Make a network that repeats pixels and adds details from `depth` convolutions of `wide` channels; input and output are named x and y.

    With `norm`, every pixel depends on the whole input. With `stride` the details are computed at a lower resolution,
    and sides must be multiples of it. With `last` the output's channels come last.
    """
    rng = np.random.default_rng(seed)
    out = channels if out is None else out
    nodes, held, name = [], [], "x"
    if stride > 1:
        nodes.append(helper.make_node("SpaceToDepth", [name], ["low"], blocksize=stride))
        name = "low"
    inside = channels * stride * stride
    for layer in range(depth):
        to = out * (scale * stride) ** 2 if layer == depth - 1 else wide
        weights = rng.normal(0, inside**-0.5 / 2, (to, inside, 3, 3)).astype(np.float32)
        held.append(numpy_helper.from_array(weights, f"w{layer}"))
        nodes.append(helper.make_node("Conv", [name, f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1]))
        name, inside = f"c{layer}", to
        if layer < depth - 1:
            nodes.append(helper.make_node("LeakyRelu", [name], [f"r{layer}"], alpha=0.2))
            name = f"r{layer}"
    if norm:
        held += [numpy_helper.from_array(np.ones(inside, np.float32), "one")]
        held += [numpy_helper.from_array(np.zeros(inside, np.float32), "zero")]
        nodes.append(helper.make_node("InstanceNormalization", [name, "one", "zero"], ["normed"]))
        name = "normed"
    if scale * stride > 1:
        nodes.append(helper.make_node("DepthToSpace", [name], ["details"], blocksize=scale * stride))
        name = "details"
    held.append(numpy_helper.from_array(np.array([1, 1, scale, scale], np.float32), "scales"))
    held.append(numpy_helper.from_array(np.float32(0.1), "little"))
    nodes += [
        helper.make_node("Resize", ["x", "", "scales"], ["large"], mode="nearest",
                         coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        helper.make_node("Mul", [name, "little"], ["added"]),
    ]  # fmt: skip
    if out < channels:
        held.append(numpy_helper.from_array(np.array([out, channels - out], np.int64), "split"))
        nodes.append(helper.make_node("Split", ["large", "split"], ["some", "rest"], axis=1))
    nodes.append(helper.make_node("Add", ["some" if out < channels else "large", "added"], ["first"]))
    kind, perm = ("Transpose", {"perm": [0, 2, 3, 1]}) if last else ("Identity", {})
    nodes.append(helper.make_node(kind, ["first"], ["y"], **perm))
    shape = [side if isinstance(side, str) else side * scale for side in hw]
    given = {"h": "sh", "w": "sw"}
    sides = [given.get(side, side) for side in shape]
    batch = "n" if isinstance(hw[0], str) else 1
    graph = helper.make_graph(
        nodes, "enlarger",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, channels, *hw])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, *sides, out] if last else [batch, out, *sides])],
        held,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def enlarger_archive(
    path: Path, network: bytes | None = None, words: EnhanceWords | None = None, **changes: Any
) -> Path:
    """Write an archive of a network that makes pictures; by default of `enlarger()`."""
    words = words or EnhanceWords(scale=2, reach=DEPTH)
    shape = changes.pop("shape", [-1, words.channels, -1, -1])
    transforms = transforms_of(words, tuple(None if side == -1 else side for side in shape))
    stated = {
        "task": "enhance",
        "enhance": to_meta(words),
        "classes": [],
        "model": {"type": "Enlarger"},
        "shape": shape,
        "name": "large",
    }
    return build(path, contents(network=("model.onnx", network or enlarger()), params=None, transforms=transforms,
                                **stated | changes))  # fmt: skip


def runner(network: bytes) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function that runs a network on a batch (N, C, h, w)."""
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, {"x": batch})[0]


def package_of(words: EnhanceWords, shape: tuple[int | None, ...] | None = None) -> ModelPackage:
    """Return the package of an archive that states `words`."""
    shape = shape or (None, words.channels, None, None)
    listed = transforms_of(words, shape)
    specs = tuple(
        TransformSpec(each["type"], {k: v for k, v in each.items() if k != "type"}) for each in listed
    )
    return ModelPackage(
        root=Path(), name="large", digest="", task="enhance", engines={}, params=None, transforms=specs, classes=(),
        num_classes=None, input_shape=shape, meta={"enhance": to_meta(words)},
    )  # fmt: skip


def task_of(
    words: EnhanceWords, tiles: TileSettings, shape: tuple[int | None, ...] | None = None
) -> NetworkPictures:
    """Return the task of an archive that states `words`."""
    return make_network(package_of(words, shape), [OutputSpec("y", "float32", ())], tiles)


def enlarge(
    pixels: NDArray[np.uint8],
    run: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    task: NetworkPictures,
    shape: tuple[int | None, ...] | None = None,
    order: Callable[[list[int]], list[int]] = list,
) -> Enhanced:
    """Make the picture of one frame as the pipeline does, with parts in the given order."""
    hw = pixels.shape[:2]
    fold = task.start(Frame(FrameKey("a.png"), hw, pixels))
    chain = build_transforms(package_of(task.words, shape).transforms)
    for number in order(list(range(len(fold.windows)))):
        window = fold.windows[number]
        start = Geometry.identity(hw)
        part = pixels
        if window is not None:
            part, start = (
                pixels[window.top : window.bottom, window.left : window.right],
                start.cropped(window),
            )
        tensor, geometry = chain(part, start)
        fold.add(number, Part({"y": run(tensor[None])[0]}, geometry, window))
    return fold.finish()
