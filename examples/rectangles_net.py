"""A hand-made detector without training: it returns exact boxes of flat blue, red and green rectangles.

It replaces a trained network wherever a test, a benchmark or an example needs exact boxes.
`python examples/rectangles_net.py` rebuilds examples/models/rectangles.tgz.

How it works: a pixel belongs to a class if one channel exceeds the mean of the other two. The picture is
divided into cells of 4 x 4 pixels; a cell is set if all its pixels have the same class, so that a gap of one
pixel always separates two objects. Adjacent set cells of a row (or column) form a run, whose ends are refined
to the pixel with up to three pixels beyond its first and last cell. The width of a cell's box is the longest
row run among the cells of its column run, and its height the longest column run among the cells of its row
run; so an object with a hidden corner or notch gets the box of its visible part. An object cut by the
picture's border gets the box of the part inside, as from a trained detector.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from export_model.export import main as export

CLASSES = ("fish", "crab", "urchin")
COLORS = ((40, 90, 220), (215, 60, 45), (60, 190, 70))
"""RGB of each class, whose dominant channels are blue, red and green."""
CHANNELS = (2, 0, 1)
THRESHOLD = 0.27
"""Minimum excess of the dominant channel over the mean of the others, in 0..1."""
CELL = 4
LEAST = 2 * CELL - 1
"""Smallest side in pixels of a rectangle that contains a whole cell wherever it lies."""
FAR = -1e9
"""Less than any value in a plane."""


def score(width: float, height: float) -> float:
    """Return the score of a box, which grows with its area: 0.66 for 8 x 8 pixels, 0.96 for 32 x 32."""
    area = width * height
    return 0.99 * area / (area + 32)


class _Graph:
    """An ONNX graph being built; each method adds nodes and returns the name of the output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: float | Sequence[Any] | NDArray[Any], dtype: type = np.float32) -> str:
        """Add a constant and return its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind: str, *inputs: str | float, outputs: str = "", **attributes: Any) -> str:
        """Add a node with one output; numbers become constants."""
        names = [self.constant(i) if isinstance(i, int | float) else i for i in inputs]
        name = outputs or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [name], name=f"n_{name}", **attributes))
        return name

    def add(self, a: str | float, b: str | float) -> str:
        """Add two tensors."""
        return self.op("Add", a, b)

    def sub(self, a: str | float, b: str | float) -> str:
        """Subtract b from a."""
        return self.op("Sub", a, b)

    def mul(self, a: str | float, b: str | float) -> str:
        """Multiply two tensors."""
        return self.op("Mul", a, b)

    def to_float(self, condition: str) -> str:
        """Convert true and false to 1 and 0."""
        return self.op("Cast", condition, to=TensorProto.FLOAT)

    def slice(self, x: str, axis: int, start: int, end: int) -> str:
        """Slice one axis."""
        ends = [self.constant([v], np.int64) for v in (start, end, axis)]
        return self.op("Slice", x, *ends)

    def shift(self, x: str, axis: int, by: int, fill: float) -> str:
        """Shift a plane by `by` cells along an axis, filling with `fill`."""
        pads = [0] * 8
        pads[axis if by > 0 else 4 + axis] = abs(by)
        padded = self.op("Pad", x, self.constant(pads, np.int64), fill)
        return self.slice(padded, axis, 0, -by) if by > 0 else self.slice(padded, axis, -by, 2**31)


class _Axis:
    """The cells and runs along one axis (3: columns, 2: rows): cell numbers `place`, picture `size` in pixels."""

    def __init__(self, g: _Graph, axis: int) -> None:
        self.g, self.axis = g, axis
        ends = [g.constant([v], np.int64) for v in (axis, axis + 1)]
        pixels = g.op("Slice", g.op("Shape", "images"), *ends)
        four = g.constant([CELL], np.int64)
        cells = g.op("Div", g.op("Add", pixels, g.constant([CELL - 1], np.int64)), four)
        self.size = g.op("Cast", pixels, to=TensorProto.FLOAT)
        place = g.op("Range", g.constant(0, np.int64), g.op("Squeeze", cells), g.constant(1, np.int64))
        shape = [1, 1, 1, 1]
        shape[axis] = -1
        place = g.op("Reshape", place, g.constant(shape, np.int64))
        self.place = g.op("Cast", place, to=TensorProto.FLOAT)
        self.missing = g.op("Sub", g.op("Mul", cells, four), pixels)

    def classify_lines(self, colours: str) -> None:
        """Classify the four pixel lines of each cell across this axis, from `colours` padded to whole cells.

        `bits` are four planes of cells: 1 where the first, second, third or fourth line has one class throughout.
        """
        g, axis = self.g, self.axis
        across = [1, 1]
        across[3 - axis] = CELL
        lines = g.op("MaxPool", colours, kernel_shape=across, strides=across)
        inside = g.to_float(g.op("Less", lines, -THRESHOLD))
        if axis == 2:
            width = g.op("Slice", g.op("Shape", inside), *(g.constant([v], np.int64) for v in (3, 4)))
            shape = g.op("Concat", g.constant([0, 0, -1, CELL], np.int64), width, axis=0)
        else:
            shape = g.constant([0, 0, 0, -1, CELL], np.int64)
        parted = g.op("Reshape", inside, shape)
        self.bits = [g.op("Gather", parted, g.constant(i, np.int64), axis=axis + 1) for i in range(CELL)]

    def find_runs(self, label: str, full: str) -> None:
        """Number the runs of equal labels along this axis, and find the start and end in pixels of each cell's run."""
        g, axis, bits = self.g, self.axis, self.bits
        changes = g.to_float(g.op("Not", g.op("Equal", label, g.shift(label, axis, 1, -1.0))))
        self.opens = changes  # 1 where a run starts
        count = g.op("CumSum", changes, g.constant(axis, np.int64))
        number = g.op("Cast", g.sub(count, 1.0), to=TensorProto.INT64)
        self.number = g.op("Concat", number, number, axis=1)
        last = g.mul(bits[3], g.add(1.0, g.mul(bits[2], g.add(1.0, bits[1]))))
        first = g.mul(bits[0], g.add(1.0, g.mul(bits[1], g.add(1.0, bits[2]))))
        before, behind = (
            g.op("ReduceSum", g.mul(full, g.shift(line, axis, by, 0.0)), g.constant([1], np.int64))
            for line, by in ((last, 1), (first, -1))
        )
        here = g.mul(self.place, float(CELL))
        self.ends = self.max_of_run(
            g.op("Concat", g.sub(before, here), g.add(g.add(here, float(CELL)), behind), axis=1)
        )

    def max_of_run(self, values: str) -> str:
        """Return for every cell the maximum of `values` (N, 2, rows, columns) over its run."""
        g = self.g
        least = g.add(g.mul(values, 0.0), FAR)
        best = g.op("ScatterElements", least, self.number, values, axis=self.axis, reduction="max")
        return g.op("GatherElements", best, self.number, axis=self.axis)


def build() -> ModelProto:
    """Build the network.

    Input `images` (N, 3, H, W) float32 RGB in 0..1, of any size; output `output0` (N, 4 + classes, A) float32
    in the layout of YOLOv8: centre x, centre y, width and height in pixels of the input, then one score
    per class; one column per cell. All but a few cells of an object have score 0.
    """
    g = _Graph()
    weight = np.full((len(CLASSES), 3, 1, 1), 0.5, np.float32)
    weight[range(len(CLASSES)), CHANNELS] = -1
    colours = g.op("Conv", "images", g.constant(weight))
    columns, rows = _Axis(g, 3), _Axis(g, 2)
    none = g.constant([0] * 6, np.int64)
    colours = g.op("Pad", colours, g.op("Concat", none, rows.missing, columns.missing, axis=0), FAR)
    columns.classify_lines(colours)
    rows.classify_lines(colours)
    halves = [g.mul(columns.bits[i], columns.bits[i + 1]) for i in (0, 2)]
    full = g.mul(*halves)
    numbers = np.arange(1, len(CLASSES) + 1).reshape(1, -1, 1, 1)
    label = g.op("Conv", full, g.constant(numbers))
    columns.find_runs(label, full)
    rows.find_runs(label, full)
    spans = []
    for axis, other in ((columns, rows), (rows, columns)):
        ends = other.max_of_run(axis.ends)  # (N, 2, ...): the negated start, the end
        begin = g.op("Max", g.op("Neg", g.slice(ends, 1, 0, 1)), 0.0)
        spans.append((begin, g.op("Min", g.slice(ends, 1, 1, 2), axis.size)))
    (x0, x1), (y0, y1) = spans
    middle = [g.mul(g.add(a, b), 0.5) for a, b in ((x0, x1), (y0, y1))]
    size = [g.sub(x1, x0), g.sub(y1, y0)]
    given = g.mul(full, _scores(g, columns, rows, middle, size))
    planes = g.op("Concat", *middle, *size, given, axis=1)
    shape = g.constant([0, 4 + len(CLASSES), -1], np.int64)
    g.op("Reshape", planes, shape, outputs="output0")
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "height", "width"])
    boxes = helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["batch", 4 + len(CLASSES), "cells"])
    graph = helper.make_graph(g.nodes, "rectangles", [image], [boxes], g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], producer_name="quadrat")
    model.ir_version = 8
    helper.set_model_props(model, {"names": repr(dict(enumerate(CLASSES)))})
    checker.check_model(model, full_check=True)
    return model


def _scores(g: _Graph, columns: _Axis, rows: _Axis, middle: Sequence[str], size: Sequence[str]) -> str:
    """Return the box's score for the cell at its centre, a little less for an upper left corner, 0 for others."""
    central = [
        g.op("Equal", g.op("Floor", g.mul(at, 1 / CELL)), axis.place)
        for at, axis in zip(middle, (columns, rows), strict=True)
    ]
    corner = g.mul(columns.opens, rows.opens)
    weight = g.op("Max", g.to_float(g.op("And", *central)), g.mul(corner, 0.95))
    area = g.mul(*size)
    return g.mul(weight, g.op("Div", g.mul(area, 0.99), g.add(area, 32.0)))


def main() -> None:
    """Export the network to an archive with export_model."""
    parser = argparse.ArgumentParser(description="Rebuild examples/models/rectangles.tgz.")
    parser.add_argument(
        "--save-path",
        type=Path,
        default=Path(__file__).parent / "models" / "rectangles.tgz",
        help="archive to write",
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quadrat-rectangles-") as folder:
        onnx = Path(folder) / "rectangles.onnx"
        onnx.write_bytes(build().SerializeToString(deterministic=True))
        words = ["--task", "detect", "--layout", "yolov8", "--onnx", str(onnx), "--mean", "0", "--std", "1"]
        for name, color in zip(CLASSES, COLORS, strict=True):
            words += ["--class", "{}=#{:02x}{:02x}{:02x}".format(name, *color)]
        sys.exit(export([*words, "--save-path", str(given.save_path)]))


if __name__ == "__main__":
    main()
