"""NanoDet and PicoDet, which give a distribution of the distance to each side of a box instead of the distance.

The distance to a side is the mean of its softmax distribution over 0, 1, ..., bins - 1, in strides (Li et al. 2020,
Generalized Focal Loss, equation 5). The families differ in the point that distances are measured from: `centre` is a
share of the cell, plus a number of pixels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW
from quadrat.tasks.detect.layouts.base import Candidates, DetectorSpec, Layout, candidates, check_finite
from quadrat.tasks.detect.layouts.cells import cells_of, find_grid
from quadrat.tasks.detect.layouts.levels import BOX, Level, Levels, activate, around, best_of, softmax
from quadrat.tasks.detect.layouts.single import Single
from quadrat.types import OutputSpec

BINS = 8
"""Bins for each side of a box, as the authors of NanoDet and PicoDet train them."""


def boxes_of(
    network: DetectorSpec,
    raw: NDArray[np.float32],
    cells: NDArray[np.float32],
    strides: NDArray[np.float32],
    centre: tuple[float, float],
) -> NDArray[np.float32]:
    """Return corners (M, 4) in input pixels from distributions (M, 4 * bins), cells (M, 2) and strides (M, 1)."""
    check_finite(network, raw)
    shares = softmax(raw.reshape(len(raw), BOX, raw.shape[1] // BOX))
    distances = np.asarray((shares @ np.arange(shares.shape[2], dtype=np.float32)) * strides, np.float32)
    share, pixels = np.float32(centre[0]), np.float32(centre[1])
    return around((cells + share) * strides + pixels, distances)


class Nanodet(Levels):
    """For each stride (N, cells, classes) scores and (N, cells, 4 * bins) distributions of the distances: NanoDet.

    The distances are from (i + 0.5) * stride - 0.5, as in the decoder of OpenCV Zoo
    (models/object_detection_nanodet/nanodet.py). nanodet/model/head/gfl_head.py has no - 0.5: half a pixel of the input.
    """

    parts = ("scores", "boxes")
    shape = "(N, cells, classes) and (N, cells, 4 * bins)"
    centre = (0.5, -0.5)

    def split(self, outputs: Sequence[OutputSpec]) -> Level | None:
        """Tell distributions from scores by the number of classes, their names, or the usual number of bins."""
        if len(outputs) != 2:
            return None
        classes = self._network.num_classes
        tests = (
            lambda one: re.search(r"dis|reg|box", one.name.lower()) is not None,
            lambda one: classes is not None and one.shape[-1] not in (None, classes),
            lambda one: one.shape[-1] == BOX * BINS,
        )
        for is_boxes in tests:
            boxes = [one for one in outputs if is_boxes(one)]
            if len(boxes) == 1 and boxes[0].shape[-1] and boxes[0].shape[-1] % BOX == 0:
                scores = next(one for one in outputs if one is not boxes[0])
                return {"scores": scores.name, "boxes": boxes[0].name}
        return None

    def decode(
        self, level: Mapping[str, NDArray[np.float32]], cells: NDArray[np.float32], stride: int, floor: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
        """Take the best class of each cell, and the means of its four distributions."""
        rows, scores, classes = best_of(self.scores_of(level["scores"]), floor)
        sizes = np.full((len(rows), 1), stride, np.float32)
        return boxes_of(self._network, level["boxes"][rows], cells[rows], sizes, self.centre), scores, classes


class Picodet(Nanodet):
    """As `nanodet`, with distances from (i + 0.5) * stride: PicoDet without its post-processing.

    See PicoHead in PaddleDetection's ppdet/modeling/heads/pico_head.py (Yu et al. 2021, PP-PicoDet).
    """

    centre = (0.5, 0.0)


class NanodetPlus(Single):
    """(N, cells, classes + 4 * bins): scores, then distributions of the distances, of all strides: NanoDet-Plus.

    Distances are from i * stride (get_single_level_center_priors in nanodet/model/head/nanodet_plus_head.py).
    """

    shape = "(N, cells, classes + 4 * bins)"
    centre = (0.0, 0.0)

    def _check(self, shape: tuple[int | None, ...]) -> None:
        if shape[2] is not None:
            self._network.check_classes(shape[2] - BOX * self._bins(shape[2]))

    def _bins(self, columns: int) -> int:
        """Return the number of bins: what the classes leave of the columns, or the usual number."""
        rest = columns - (self._network.num_classes or columns)
        return rest // BOX if rest > 0 and rest % BOX == 0 else BINS

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Take the best class of each cell, and the means of its four distributions."""
        table = self._array(arrays)
        grid = find_grid(len(table), tensor_hw, (1,))
        if grid is None:
            raise self._network.fault(
                f"{len(table)} rows are not one for each cell of an input of {tensor_hw[1]} x {tensor_hw[0]}"
            )
        cells, strides = cells_of(tensor_hw, grid.strides)
        count = table.shape[1] - BOX * self._bins(table.shape[1])
        rows, scores, classes = best_of(activate(self._network, table[:, :count]), floor)
        boxes = boxes_of(self._network, table[rows, count:], cells[rows], strides[rows], self.centre)
        return candidates(self._network, boxes, scores, classes, tensor_hw)


class _NanodetJoined(NanodetPlus):
    """As `nanodet`, in one tensor."""

    centre = Nanodet.centre


def nanodet(network: DetectorSpec) -> Layout:
    """Return the reader of a NanoDet: with all strides in one tensor, or two tensors for each stride."""
    joined = "predictions" in network.roles or len(network.outputs) == 1
    return _NanodetJoined(network) if joined else Nanodet(network)
