"""What models about objects find in each object: columns of a record, cells of objects.csv, and masks in COCO's RLE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW, Window
from quadrat.predictions import UNKNOWN, Detections, ObjectResult, Segmentation
from quadrat.report.base import ModelFacts, plain
from quadrat.report.columns import FrameRow
from quadrat.report.detections import COLUMNS, ClassOf
from quadrat.report.rows import DetectionRow
from quadrat.report.spool import Spool
from quadrat.report.survey import csv_line
from quadrat.stores.addresses import shown
from quadrat.types import Source

REASON = "reason"
"""The cell that says why a model did not measure an object: "small", "class", "failed", or empty if it did."""
DETAILS, MASKS = "details", "masks"
"""Columns of a record: for each object, a dict of cells by model, and its mask as a dict of `area` and `rle`, or None."""


def detail_arrays(models: Sequence[ModelFacts], detections: Detections, source_hw: HW) -> dict[str, Any]:
    """Return what the models about objects found as columns; nothing without such models.

    `models` are their own facts; `source_hw` is the (height, width) of the upright source.
    """
    if not models:
        return {}
    count = len(detections)
    details, masks = np.empty(count, object), np.empty(count, object)
    for row in range(count):
        details[row] = {model.name: _cells(model, detections, row) for model in models}
        masks[row] = _mask(models, detections, row, source_hw)
    return {DETAILS: details, MASKS: masks}


def with_details(rows: Sequence[DetectionRow], columns: Mapping[str, NDArray[Any]]) -> list[DetectionRow]:
    """Return rows with their cells by model and their masks, if the columns of the record have them."""
    if DETAILS not in columns:
        return list(rows)
    return [
        replace(row, details=cells, mask=mask)
        for row, cells, mask in zip(rows, columns[DETAILS], columns[MASKS], strict=True)
    ]


def add_names(names: dict[str, dict[str, None]], columns: Mapping[str, NDArray[Any]]) -> None:
    """Add the names of the cells of each model, in the order in which they occur."""
    for cells in columns.get(DETAILS, ()):
        for model, own in cells.items():
            names.setdefault(model, {}).update(dict.fromkeys(name for name in own if name != REASON))


class ObjectsTable:
    """Writes objects.csv: a line for each object, with the cells of the detector and of each model about its objects.

    `names` are those of the cells by model.
    """

    kind = "objects"

    def __init__(
        self, path: Path, models: Sequence[ModelFacts], names: Mapping[str, Iterable[str]], class_of: ClassOf
    ) -> None:
        self._cells = [
            (model.name, cell) for model in models for cell in (*names.get(model.name, ()), REASON)
        ]
        labels = {model.name: model.label or model.name for model in models}
        self.columns = (*COLUMNS, *(f"{labels[model]}.{cell}" for model, cell in self._cells))
        self._lines = Spool(path)
        self._lines.write(csv_line(self.columns))
        self._class_of = class_of
        self.rows = 0

    def frame(self, source: Source, frame: FrameRow, rows: Sequence[DetectionRow]) -> None:
        """Write the objects of one frame."""
        time_s = "" if frame.time_s is None else f"{frame.time_s:.6f}"
        place = [plain(shown(text, source)) for text in (source.urn, source.name)]
        head = [*place, frame.index, time_s]
        for row in rows:
            info, details = self._class_of(row.index), row.details or {}
            own = [details.get(model, {}).get(cell, "") for model, cell in self._cells]
            track = row.track if row.track >= 0 else ""
            line = [*head, track, info.id, info.name, row.score, *row.corners.split(","), *own]
            self._lines.write(csv_line(line))
            self.rows += 1

    def finish(self) -> Path:
        """Complete the file and return its path."""
        self._lines.flush()
        return self._lines.path


def rle(mask: NDArray[np.bool_], window: Window, hw: HW) -> dict[str, Any]:
    """Return a mask in COCO's compressed run-length encoding.

    `mask` (h, w) lies at `window` in a picture of `hw` (height, width). Runs go down the columns, as in pycocotools.
    """
    columns, rows = np.nonzero(mask.T)
    places = (window.left + columns.astype(np.int64)) * hw[0] + window.top + rows
    breaks = np.flatnonzero(np.diff(places) != 1)
    begins = places[np.concatenate([[0], breaks + 1])] if len(places) else places
    ends = places[np.concatenate([breaks, [len(places) - 1]])] + 1 if len(places) else places
    edges = np.concatenate([[0], np.stack([begins, ends], axis=1).ravel(), [hw[0] * hw[1]]])
    counts = np.diff(edges).tolist()
    return {
        "size": [hw[0], hw[1]],
        "counts": _compressed(counts if counts[-1] or len(counts) == 1 else counts[:-1]),
    }


def _compressed(counts: Sequence[int]) -> str:
    """Write counts as pycocotools does: differences to the last but one, in groups of five bits from "0" on."""
    text: list[str] = []
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != -1 if bits & 0x10 else value != 0
            text.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(text)


def _cells(model: ModelFacts, detections: Detections, row: int) -> dict[str, Any]:
    """Return the cells of one object."""
    result = _result(model, detections, row)
    reason = detections.reasons.get(model.name, ())
    own = {REASON: reason[row]} if reason and reason[row] else {}
    if result is None:
        return own
    cells = model.kind.part("object_cells")(result.prediction, model.classes, *model.groups)
    return {**cells, **own}


def _mask(models: Sequence[ModelFacts], detections: Detections, row: int, hw: HW) -> dict[str, Any] | None:
    """Return the mask of one object by the first model that gives one, with its area in pixels of the source."""
    for model in models:
        result = _result(model, detections, row)
        if result is not None and isinstance(result.prediction, Segmentation):
            mask = result.prediction.labels != UNKNOWN
            return {"area": int(np.count_nonzero(mask)), "rle": rle(mask, result.window, hw)}
    return None


def _result(model: ModelFacts, detections: Detections, row: int) -> ObjectResult | None:
    results = detections.details.get(model.name)
    return None if results is None else results[row]
