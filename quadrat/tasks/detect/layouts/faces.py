"""YuNet and SCRFD, whose rows are boxes relative to the cells of each stride; both are used to find faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from quadrat.tasks.detect.layouts.levels import BOX, POINTS, Level, Levels, around, best_of
from quadrat.types import OutputSpec


class Scrfd(Levels):
    """For each stride (N, cells * anchors, 1) scores and (N, cells * anchors, 4) distances in strides, with or without N.

    Distances are from i * stride; a cell has 1 or 2 anchors (Guo et al. 2021; detection/scrfd/tools/scrfd.py in
    insightface). Landmarks, (N, cells * anchors, 10), are not read.
    """

    parts = ("scores", "boxes")
    shape = "(N, rows, 1) and (N, rows, 4)"

    def split(self, outputs: Sequence[OutputSpec]) -> Level | None:
        """Tell scores, boxes and landmarks apart by the numbers of a row."""
        boxes = [one for one in outputs if one.shape[-1] == BOX]
        others = [one for one in outputs if one.shape[-1] not in (BOX, POINTS)]
        if len(boxes) != 1 or len(others) != 1:
            return None
        return {"scores": others[0].name, "boxes": boxes[0].name}

    def decode(
        self, level: Mapping[str, NDArray[np.float32]], cells: NDArray[np.float32], stride: int, floor: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
        """Take the best class of each anchor."""
        rows, scores, classes = best_of(self.scores_of(level["scores"]), floor)
        return around(cells[rows] * stride, level["boxes"][rows] * np.float32(stride)), scores, classes


class Yunet(Levels):
    """For each stride (N, cells, classes) and (N, cells, 1) probabilities of class and object, and (N, cells, 4) boxes.

    The score is the square root of their product; centre = (cell + xy) * stride, size = exp(wh) * stride
    (FaceDetectorYNImpl::postProcess in OpenCV's face_detect.cpp). Landmarks, (N, cells, 10), are not read.
    """

    parts = ("classes", "objects", "boxes")
    shape = "(N, cells, classes), (N, cells, 1) and (N, cells, 4)"

    def split(self, outputs: Sequence[OutputSpec]) -> Level | None:
        """Tell the parts apart by the numbers of a row; with one class, the order of the two scores does not matter."""
        boxes = [one for one in outputs if one.shape[-1] == BOX]
        others = sorted(
            (one for one in outputs if one.shape[-1] not in (BOX, POINTS)),
            key=lambda one: (one.shape[-1] == 1, "obj" in one.name.lower()),
        )
        if len(boxes) != 1 or len(others) != 2 or others[1].shape[-1] != 1:
            return None
        return {"classes": others[0].name, "objects": others[1].name, "boxes": boxes[0].name}

    def count(self, level: Mapping[str, tuple[int | None, ...]]) -> int | None:
        """Return the number of columns of the classes."""
        return level["classes"][-1]

    def decode(
        self, level: Mapping[str, NDArray[np.float32]], cells: NDArray[np.float32], stride: int, floor: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
        """Take the best class of each cell."""
        product = self.scores_of(level["classes"]) * self.scores_of(level["objects"])
        rows, scores, classes = best_of(np.sqrt(np.clip(product, 0, 1)), floor)
        raw = level["boxes"][rows]
        with np.errstate(over="ignore", invalid="ignore"):
            centres, half = (cells[rows] + raw[:, :2]) * stride, np.exp(raw[:, 2:]) * np.float32(stride / 2)
            return np.concatenate([centres - half, centres + half], axis=1), scores, classes
