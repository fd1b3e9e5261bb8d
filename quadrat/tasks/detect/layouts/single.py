"""Detectors with one output: the YOLO families, RT-DETR as ultralytics exports it, and PaddleDetection.

Each anchor or query is one object, of its best class, as in the default post-processing of these exports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW
from quadrat.tasks.detect.layouts.base import (
    Candidates,
    DetectorSpec,
    as_classes,
    as_float,
    candidates,
    check_decoded,
    check_scores,
    fits,
    from_centres,
    from_fractions,
    shape_text,
)

ROLE = "predictions"


class Single:
    """One output with three axes, or two if it has no batch axis; `shape` describes it in errors."""

    nms = True
    batched = True
    float_classes = False
    shape = ""
    roles: tuple[str, ...] = (ROLE,)

    def __init__(self, network: DetectorSpec) -> None:
        self._network = network
        axes = 3 if self.batched else 2
        given = network.find(ROLE, _names(network, axes), self.shape)
        self._name = given.name
        self.wanted: tuple[str, ...] = (given.name,)
        if len(given.shape) != axes or not given.dtype.startswith("float"):
            raise self._wrong(given.shape, given.dtype)
        self._check(given.shape)

    def _check(self, shape: tuple[int | None, ...]) -> None:
        """Check the axes that are known; subclasses override it. Raises LayoutError, ClassesError."""

    def _wrong(self, shape: tuple[int | None, ...], dtype: str = "float32") -> Exception:
        return self._network.fault(
            f"the output {self._name!r} is {dtype} {shape_text(shape)}; it must be float {self.shape}"
        )

    def _array(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the output without its batch axis, after a check of its shape."""
        array = as_float(self._network, arrays, self._name)
        shape = (None, *array.shape) if self.batched else array.shape
        if array.ndim != 2:
            raise self._wrong(shape)
        self._check(shape)
        return array


def _names(network: DetectorSpec, axes: int) -> tuple[str, ...]:
    """Return the name of the only output with `axes` axes; others are prototypes of masks, raw heads, or counts."""
    flat = [one.name for one in network.outputs if len(one.shape) == axes]
    return tuple(flat) if len(flat) == 1 else ()


class Yolov5(Single):
    """(N, A, 5 + classes): centre x, centre y, width, height in input pixels, objectness, class scores; YOLOv5, v7."""

    shape = "(N, anchors, 5 + classes)"

    def _check(self, shape: tuple[int | None, ...]) -> None:
        if shape[2] is not None:
            self._network.check_classes(shape[2] - 5)

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Score each anchor by objectness times its best class score."""
        rows = self._array(arrays)
        check_scores(self._network, rows[:, 4:])
        boxes = self.boxes_of(rows[:, :4], tensor_hw)
        likely = np.flatnonzero(rows[:, 4] >= floor - 0.02)
        classes = rows[likely, 5:].argmax(axis=1)
        scores = rows[likely, 4] * rows[likely, 5 + classes]
        keep = scores >= np.float32(floor)
        corners = from_centres(boxes[likely[keep]])
        return candidates(self._network, corners, scores[keep], classes[keep], tensor_hw)

    def boxes_of(self, rows: NDArray[np.float32], tensor_hw: HW) -> NDArray[np.float32]:
        """Return centre x, centre y, width, height (A, 4) in input pixels; LayoutError if they are in other units."""
        check_decoded(self._network, rows, tensor_hw)
        return rows


class Yolov8(Single):
    """(N, 4 + classes, A): centre x, centre y, width, height in input pixels, class scores; YOLOv8, v9, v11."""

    shape = "(N, 4 + classes, anchors)"

    def _check(self, shape: tuple[int | None, ...]) -> None:
        if shape[1] is not None:
            self._network.check_classes(shape[1] - 4)

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Score each anchor by its best class."""
        columns = self._array(arrays)
        check_scores(self._network, columns[4:])
        best = columns[4:].max(axis=0)
        keep = best >= np.float32(floor)
        chosen = columns[:, keep]
        boxes = from_centres(chosen[:4].T)
        return candidates(self._network, boxes, best[keep], chosen[4:].argmax(axis=0), tensor_hw)


class Yolov10(Single):
    """(N, K, 6): x0, y0, x1, y1 in input pixels, score, class; YOLOv10, YOLO26 and exports with built-in NMS."""

    nms = False
    float_classes = True
    shape = "(N, objects, 6)"

    def _check(self, shape: tuple[int | None, ...]) -> None:
        if not fits(shape, (None, None, 6)):
            raise self._wrong(shape)

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Return the rows as they are; rows that pad the output have a score of 0."""
        rows = self._array(arrays)
        check_scores(self._network, rows[:, 4])
        rows = rows[rows[:, 4] >= np.float32(floor)]
        classes = as_classes(self._network, rows[:, 5])
        return candidates(self._network, rows[:, :4], rows[:, 4], classes, tensor_hw)


class RtdetrUltralytics(Single):
    """(N, K, 4 + classes): centre x, centre y, width, height in fractions of the sides, class scores."""

    nms = False
    shape = "(N, queries, 4 + classes)"

    def _check(self, shape: tuple[int | None, ...]) -> None:
        if shape[2] is not None:
            self._network.check_classes(shape[2] - 4)

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Score each query by its best class."""
        rows = self._array(arrays)
        check_scores(self._network, rows[:, 4:])
        rows = rows[rows[:, 4:].max(axis=1) >= np.float32(floor)]
        boxes = from_fractions(self._network, rows[:, :4], tensor_hw)
        return candidates(
            self._network, boxes, rows[:, 4:].max(axis=1), rows[:, 4:].argmax(axis=1), tensor_hw
        )


class Paddledet(Single):
    """(K, 6): class, score, x0, y0, x1, y1 in input pixels; PaddleDetection's exports, with built-in NMS.

    A batch would concatenate the rows of its inputs without an axis between them, so inputs run one at a time.
    """

    nms = False
    batched = False
    float_classes = True
    shape = "(objects, 6)"

    def _check(self, shape: tuple[int | None, ...]) -> None:
        if not fits(shape, (None, 6)):
            raise self._wrong(shape)

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Return the rows as they are, without those of class -1, which pad the output."""
        rows = self._array(arrays)
        rows = rows[rows[:, 0] != -1]
        check_scores(self._network, rows[:, 1])
        rows = rows[rows[:, 1] >= np.float32(floor)]
        classes = as_classes(self._network, rows[:, 0])
        return candidates(self._network, rows[:, 2:], rows[:, 1], classes, tensor_hw)
