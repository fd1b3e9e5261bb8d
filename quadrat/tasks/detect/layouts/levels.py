"""Networks with tensors of their own for each stride: NanoDet, PicoDet, YuNet, SCRFD."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW
from quadrat.tasks.detect.layouts.base import (
    Candidates,
    DetectorSpec,
    as_float,
    candidates,
    check_finite,
    check_scores,
    shape_text,
)
from quadrat.tasks.detect.layouts.cells import STRIDES, cells_of, count_cells
from quadrat.tasks.detect.layouts.named import sigmoid
from quadrat.types import OutputSpec

BOX = 4
POINTS = 10
"""Numbers of a row with five landmarks, which are not read."""

Level = dict[str, str]
"""The tensor of each part of one stride."""


def group_levels(network: DetectorSpec, parts: Sequence[str]) -> dict[int, list[OutputSpec]]:
    """Return the outputs of each stride, by their number of rows; {} if they are not those of a whole set of strides.

    Outputs have (N, rows, numbers) or (rows, numbers). A stride may have 1 or 2 rows per cell.
    """
    hw, groups = network.fixed_hw, defaultdict(list)
    for one in network.outputs:
        rows = one.shape[-2] if len(one.shape) in (2, 3) else None
        if rows is not None and one.dtype.startswith("float"):
            groups[rows].append(one)
    if hw is None:
        return {}
    for per_cell in (1, 2):
        for strides in STRIDES:
            rows_of = {stride: count_cells(hw, (stride,)) * per_cell for stride in strides}
            if set(rows_of.values()) == set(groups) and len(groups) == len(strides):
                found = {stride: groups[rows] for stride, rows in rows_of.items()}
                if all(len(each) >= len(parts) for each in found.values()):
                    return found
    return {}


class Levels:
    """The tensors of each stride, found by the roles that the archive states, else by shape; `parts` are their kinds.

    A role is a part and a stride, such as `scores-8`. Subclasses tell the parts of one stride apart in `split`, and
    read them in `decode`.
    """

    nms = True
    float_classes = False
    parts: tuple[str, ...] = ()
    shape = ""

    def __init__(self, network: DetectorSpec) -> None:
        self._network = network
        self._levels = self._stated() or self._found()
        names = {one.name: one for one in network.outputs}
        pairs = [(part, stride) for part in self.parts for stride in self._levels]
        self.roles: tuple[str, ...] = tuple(f"{part}-{stride}" for part, stride in pairs)
        self.wanted: tuple[str, ...] = tuple(self._levels[stride][part] for part, stride in pairs)
        given = [names[name] for name in self.wanted]
        axes = {len(one.shape) for one in given}
        if not axes <= {2, 3} or len(axes) != 1 or not all(one.dtype.startswith("float") for one in given):
            raise self._wrong()
        self.batched = axes == {3}
        self._check([one.shape for one in given])

    def split(self, outputs: Sequence[OutputSpec]) -> Level | None:
        """Return the tensors of one stride by part, or None if these are not the layout's."""
        raise NotImplementedError

    def decode(
        self, level: Mapping[str, NDArray[np.float32]], cells: NDArray[np.float32], stride: int, floor: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
        """Return boxes (M, 4) as corners in input pixels, scores (M,) of at least `floor`, and classes (M,).

        `level` holds the parts of one stride, (A, numbers); `cells` (A, 2) column and row.
        """
        raise NotImplementedError

    def count(self, level: Mapping[str, tuple[int | None, ...]]) -> int | None:
        """Return the number of classes that a stride's shapes have, None if it is open."""
        return level["scores"][-1]

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Decode all strides."""
        boxes, scores, classes = [], [], []
        for stride, level in self._levels.items():
            given = {part: as_float(self._network, arrays, level[part]) for part in self.parts}
            cells = count_cells(tensor_hw, (stride,))
            rows = {len(array) if array.ndim == 2 else -1 for array in given.values()}
            number = rows.pop()
            if rows or number < 0 or number % cells or number // cells not in (1, 2):
                listed = ", ".join(shape_text(array.shape) for array in given.values())
                raise self._network.fault(
                    f"stride {stride} has {listed} for an input of {tensor_hw[1]} x {tensor_hw[0]}, "
                    f"not a row for each of {cells} cells"
                )
            self._check([(None, *array.shape) for array in given.values()])
            places, _ = cells_of(tensor_hw, (stride,), number // cells)
            found = self.decode(given, places, stride, floor)
            boxes.append(found[0])
            scores.append(found[1])
            classes.append(found[2])
        return candidates(
            self._network, np.concatenate(boxes), np.concatenate(scores), np.concatenate(classes), tensor_hw
        )

    def scores_of(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return scores in 0..1 from what the network gives, by the activation that the archive states."""
        return activate(self._network, raw)

    def _stated(self) -> dict[int, Level]:
        """Return the levels that the archive's roles state."""
        found: dict[int, Level] = defaultdict(dict)
        known = {one.name for one in self._network.outputs}
        for role, name in self._network.roles.items():
            match = re.fullmatch(rf"({'|'.join(self.parts)})-(\d{{1,3}})", role)
            if match and name in known and int(match[2]) > 0:
                found[int(match[2])][match[1]] = name
        whole = found and all(set(level) == set(self.parts) for level in found.values())
        return dict(sorted(found.items())) if whole else {}

    def _found(self) -> dict[int, Level]:
        """Return the levels by the shapes of the outputs; LayoutError if they are others."""
        groups = group_levels(self._network, self.parts)
        found = {stride: self.split(outputs) for stride, outputs in groups.items()}
        if not found or None in found.values():
            raise self._wrong()
        return {stride: level for stride, level in found.items() if level is not None}

    def _wrong(self) -> Exception:
        return self._network.fault(
            f"it has {self._network.shapes}; for each stride there must be {self.shape}, and the size of the input known"
        )

    def _check(self, shapes: Sequence[tuple[int | None, ...]]) -> None:
        """Check the numbers of each row, as far as they are known."""
        level = dict(zip([role.rpartition("-")[0] for role in self.roles], shapes, strict=False))
        if len(shapes) == len(self.parts):
            level = dict(zip(self.parts, shapes, strict=True))
        boxes = level["boxes"][-1]
        if boxes is not None and (boxes == 0 or boxes % BOX):
            raise self._wrong()
        classes = self.count(level)
        if classes is not None:
            self._network.check_classes(classes)


def activate(network: DetectorSpec, raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return scores in 0..1: as they are, or through the sigmoid or softmax that the archive states.

    Raises EngineRunError for NaN and infinity, LayoutError for scores outside 0..1.
    """
    if network.words.activation == "none":
        check_scores(network, raw)
        return raw
    check_finite(network, raw)
    if network.words.activation == "sigmoid":
        return sigmoid(raw)
    return softmax(raw)


def softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the softmax over the last axis."""
    if not values.shape[-1]:
        return values
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def best_of(
    scores: NDArray[np.float32], floor: float
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.intp]]:
    """Return the rows (M,) of scores (A, C) whose best class has at least `floor`, their scores and classes."""
    best = scores.max(axis=1) if scores.shape[1] else np.zeros(len(scores), np.float32)
    rows = np.flatnonzero(best >= np.float32(floor))
    return rows, best[rows], scores[rows].argmax(axis=1) if scores.shape[1] else rows


def around(centres: NDArray[np.float32], distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return corners (M, 4) from centres (M, 2) and the distances (M, 4) to the left, upper, right and lower side."""
    with np.errstate(over="ignore", invalid="ignore"):  # `candidates` refuses what is not finite
        return np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
