"""Infers the layout of a detector's outputs if the archive does not state it, and refuses to choose between two."""

from __future__ import annotations

import re
from collections.abc import Sequence

from quadrat.errors import LayoutError
from quadrat.geometry import HW
from quadrat.tasks.detect.layouts.base import DetectorSpec, shape_text
from quadrat.tasks.detect.layouts.cells import find_grid
from quadrat.tasks.detect.layouts.distributions import BINS
from quadrat.tasks.detect.layouts.levels import BOX, POINTS, group_levels
from quadrat.tasks.detect.layouts.maps import LANDMARKS, find_maps
from quadrat.tasks.detect.layouts.maps import NAMES as MAPS
from quadrat.tasks.detect.layouts.named import NAMES
from quadrat.tasks.detect.layouts.ssd import find_apart
from quadrat.types import OutputSpec

QUERIES = 1000
"""Networks that end in objects give at most this many rows; networks that end in anchors give more."""
FINEST = 16
"""Stride of the only map of a FastestDet."""

_STATE = 'State it in meta.json, as "detect": {"layout": NAME}'


def guess(outputs: Sequence[OutputSpec], num_classes: int | None, hw: HW | None = None) -> tuple[str, str]:
    """Return the only layout that these outputs can have, and the reason as text.

    Raises LayoutError if no layout fits, or more than one.
    """
    listed = ", ".join(f"{one.name} {shape_text(one.shape)}" for one in outputs) or "nothing"
    found = fitting(outputs, num_classes, hw)
    classes = "an unknown number of classes" if num_classes is None else f"{num_classes} classes"
    if not found:
        raise LayoutError(
            f"the network gives {listed}, which is no known layout for {classes}",
            where="meta.json: detect.layout", hint=_STATE,
        )  # fmt: skip
    if len(found) > 1:
        raise LayoutError(
            f"the network gives {listed}, which for {classes} may be {' or '.join(found)}",
            where="meta.json: detect.layout", hint=_STATE,
        )  # fmt: skip
    ((name, reason),) = found.items()
    return name, f"the network gives {listed}: {reason}"


def fitting(outputs: Sequence[OutputSpec], num_classes: int | None, hw: HW | None = None) -> dict[str, str]:
    """Return the layouts that these outputs can have, each with its reason.

    Decides by the names of the outputs, else by their shapes, the number of classes, and the (height, width) of the
    input if it is known: networks differ in the number of rows for each cell of their grids.
    """
    spec = DetectorSpec("", tuple(outputs), {}, num_classes, input_hw=hw or (None, None))
    return (
        _by_names(outputs)
        or _by_levels(spec)
        or _by_shape(outputs, num_classes, hw)
        or _apart(spec)
        or _maps(spec)
    )


def _by_names(outputs: Sequence[OutputSpec]) -> dict[str, str]:
    """Return the layout whose usual output names these are, with the reason; empty if there is none."""
    axes = {one.name: len(one.shape) for one in outputs}
    if axes.get("dets") == axes.get("labels") == 3:
        return {"rfdetr": "dets and labels, both with three axes"}
    if axes.get("dets") == 3 and axes.get("labels") == 2:
        return {"mmdet": "dets and labels, with the score in dets"}
    named = {
        role: next((name for name in (role, *names) if name in axes), "") for role, names in NAMES.items()
    }
    if all(named.values()):
        if axes[named["boxes"]] == 3:
            return {"rtdetr": "boxes, scores and labels for each input of a batch"}
        return {"boxes": "boxes, scores and labels of one input"}
    rows = [one for one in outputs if len(one.shape) == 2 and one.shape[1] == 6]
    counts = [one for one in outputs if len(one.shape) == 1 and one.dtype.startswith("int")]
    if len(rows) == 1 and len(counts) == len(outputs) - 1 == 1:
        return {"paddledet": "rows of class, score and box, and their number"}
    return {}


def _by_levels(spec: DetectorSpec) -> dict[str, str]:
    """Return the layouts that tensors for each stride can have."""
    levels = group_levels(spec, ("scores", "boxes"))
    each = [
        sorted(one.shape[-1] or 0 for one in level if one.shape[-1] != POINTS) for level in levels.values()
    ]
    if not each or any(columns != each[0] for columns in each):
        return {}
    columns, strides = each[0], f"for each of the strides {', '.join(map(str, levels))}"
    if len(columns) == 3 and columns[0] == 1 and BOX in columns:
        return {"yunet": f"class, object and box {strides}"}
    if columns == [1, BOX]:
        return {"scrfd": f"a score and a box {strides}"}
    if len(columns) == 2 and any(width % BOX == 0 and width > BOX for width in columns):
        reason, names = (
            f"scores and distributions {strides}",
            " ".join(one.name.lower() for one in spec.outputs),
        )
        return {"nanodet": reason} if re.search(r"stride|cls|dis_pred", names) else dict.fromkeys(
            ("nanodet", "picodet"), reason
        )  # fmt: skip
    return {}


def _by_shape(outputs: Sequence[OutputSpec], classes: int | None, hw: HW | None) -> dict[str, str]:
    """Return the layouts that the only float output with three axes can have."""
    flat = [one for one in outputs if len(one.shape) == 3 and one.dtype.startswith("float")]
    if len(flat) != 1:
        return {}
    _, rows, columns = flat[0].shape
    few = rows is None or rows <= QUERIES
    many = rows is None or rows > QUERIES
    grid = find_grid(rows, hw, (1, 3))
    found = {}
    if columns is not None:
        if few and columns == 6:
            found["yolov10"] = "few rows of box, score and class"
        if (many or grid) and _holds(columns, 5, classes):
            found |= _anchored(grid.per_cell if grid else None)
        if grid and grid.per_cell == 1 and _holds(columns, BOX * BINS, classes):
            name = "nanodet" if len(grid.strides) == 3 else "nanodet-plus"
            found[name] = "a row of scores and distributions for each cell"
        if few and not grid and _holds(columns, 4, classes) and (classes is not None or columns < QUERIES):
            found["rtdetr-ultralytics"] = "few rows of box and a score for each class"
    wide = columns is None or (rows is not None and columns > rows)
    if rows is not None and wide and _holds(rows, 4, classes):
        found["yolov8"] = "columns of box and a score for each class"
    return found


def _anchored(per_cell: int | None) -> dict[str, str]:
    """Return the layouts of rows of box, objectness and scores, by their number for each cell."""
    reason = "rows of box, objectness and a score for each class"
    if per_cell == 1:
        reason += ", one for each cell"
        return {"yolox": reason, "yolov5": reason}
    return {"yolov5": reason if per_cell is None else f"{reason}, {per_cell} for each cell"}


def _apart(spec: DetectorSpec) -> dict[str, str]:
    """Return the layout of boxes and scores in two tensors with many rows."""
    flat = [one for one in spec.outputs if len(one.shape) == 3]
    found = find_apart(spec)
    if found is None or len(flat) != len(spec.outputs):
        return {}
    rows = found[0].shape[1]
    if rows is None or rows <= QUERIES:
        return {}
    return {"ssd": "boxes and scores of many anchors, without NMS"}


def _maps(spec: DetectorSpec) -> dict[str, str]:
    """Return the layout of heat maps, or of one map with a row for each cell."""
    found = find_maps(spec)
    if found:
        reason = "heat maps, sizes and offsets"
        if any(len(one.shape) == 4 and one.shape[1] == LANDMARKS for one in spec.outputs):
            return {"centerface": f"{reason}, with landmarks"}
        known = found["heat"].name.lower() in MAPS["heat"]
        return dict.fromkeys(("centernet",) if known else ("centernet", "centerface"), reason)
    maps = [one for one in spec.outputs if len(one.shape) == 4 and one.dtype.startswith("float")]
    hw = spec.fixed_hw
    if len(maps) != 1 or len(spec.outputs) != 1 or hw is None:
        return {}
    _, channels, height, width = maps[0].shape
    if (height, width) != (-(-hw[0] // FINEST), -(-hw[1] // FINEST)) or channels is None:
        return {}
    return (
        {"fastestdet": "one map of box, objectness and classes"}
        if _holds(channels, 5, spec.num_classes)
        else {}
    )


def _holds(size: int, before: int, classes: int | None) -> bool:
    """Return True if an axis can hold `before` numbers and one per class."""
    return size > before if classes is None else size == before + classes
