"""YOLOX, whose rows are relative to the cells of its grids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW
from quadrat.tasks.detect.layouts.cells import cells_of, find_grid
from quadrat.tasks.detect.layouts.single import Yolov5

MAX_LOG_SIZE = 16.0
"""No box is larger than e^16 cells: a larger number is a size in pixels."""


class Yolox(Yolov5):
    """(N, cells, 5 + classes): x, y and log of width, height in cells, objectness, class scores; YOLOX undecoded.

    There is one row per cell of the strides 8, 16, 32 (and 64), which are found from the number of rows:
    centre = (cell + xy) * stride, size = exp(wh) * stride (Ge et al. 2021, section 2.1; decode_outputs in Megvii's
    yolox/models/yolo_head.py). YOLOX exported with --decode_in_inference has the layout yolov5.
    """

    shape = "(N, cells, 5 + classes)"

    def boxes_of(self, rows: NDArray[np.float32], tensor_hw: HW) -> NDArray[np.float32]:
        """Decode rows (A, 4) to centre x, centre y, width, height in input pixels; LayoutError if they are pixels."""
        grid = find_grid(len(rows), tensor_hw, (1,))
        if grid is None:
            raise self._network.fault(
                f"{len(rows)} rows are not one for each cell of an input of {tensor_hw[1]} x {tensor_hw[0]}"
            )
        if rows.size and np.nanmax(rows[:, 2:4]) > MAX_LOG_SIZE:
            raise self._network.fault(
                "its boxes are in pixels already, not relative to cells",
                'State the layout yolov5 in meta.json, as "detect": {"layout": "yolov5"}',
            )
        cells, strides = cells_of(tensor_hw, grid.strides)
        with np.errstate(over="ignore", invalid="ignore"):  # `candidates` refuses what is not finite
            return np.concatenate([(rows[:, :2] + cells) * strides, np.exp(rows[:, 2:4]) * strides], axis=1)
