"""The detections of one frame as text, formatted once for all tables: 0.01 pixel, 0.0001 of a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quadrat.predictions import Detections

_TEMPLATE = "%.2f,%.2f,%.2f,%.2f|%.2f,%.2f,%.2f,%.2f|%.2f|%.4f\n"


@dataclass(frozen=True, slots=True)
class DetectionRow:
    """One detection: `corners` is "x0,y0,x1,y1", `sides` is "left,top,width,height"; `track` is -1 if there is none.

    `details` are the cells of models about objects by model, and `mask` is the `area` and the `rle` of its mask; None
    without such models.
    """

    index: int
    track: int
    corners: str
    sides: str
    area: str
    score: str
    details: Mapping[str, Mapping[str, Any]] | None = None
    mask: Mapping[str, Any] | None = None


def rows_of(detections: Detections) -> list[DetectionRow]:
    """Format detections; sides and area are computed from the rounded corners, so that all tables agree."""
    count = len(detections)
    if not count:
        return []
    corners = np.rint(detections.boxes.astype(np.float64) * 100) / 100
    lengths = corners[:, 2:] - corners[:, :2]
    numbers = np.concatenate(
        [corners, corners[:, :2], lengths, lengths[:, :1] * lengths[:, 1:], detections.scores[:, None]],
        axis=1,
    )
    lines = (_TEMPLATE * count % tuple(numbers.ravel().tolist())).split("\n")
    tracks: Sequence[int] = [-1] * count if detections.tracks is None else detections.tracks.tolist()
    classes = detections.classes.tolist()
    rows = []
    for index, track, line in zip(classes, tracks, lines[:-1], strict=True):
        texts = line.split("|")
        rows.append(DetectionRow(index, track, texts[0], texts[1], texts[2], texts[3]))
    return rows
