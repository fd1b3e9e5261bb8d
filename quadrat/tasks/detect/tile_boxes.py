"""The boxes of all tiles: which are neighbours, and how well two of them agree where both tiles see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

LOW, HIGH = slice(0, 2), slice(2, 4)
SLACK_PIXELS, SLACK_OF_TILE, SLACK_OF_BOX = 2.0, 0.01, 0.06
"""A side is at its tile's border if it is this close to it: in pixels, or as a share of the tile's or box's side."""

BLOCK = 250_000
"""Pairs that are compared at a time, which bounds memory."""


@dataclass(frozen=True, slots=True, eq=False)
class TileBoxes:
    """Boxes of tiles as columns, in an order that depends on nothing but the boxes.

    `boxes` and `windows` (N, 4) float64 are x0, y0, x1, y1 in source pixels, each box clipped to its window;
    `scores` (N,) float64; `classes` (N,) intp; `tiles` (N,) intp numbers the windows; `slack` (N, 2) float64 are
    the pixels in x and y within which a side counts as being at the window's border; `cut` (N, 4) bool marks the
    sides at a border of the window that is not the frame's: the object may continue beyond them.
    """

    boxes: Floats
    scores: Floats
    classes: Ints
    windows: Floats
    tiles: Ints
    slack: Floats
    cut: Bools

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.scores)

    @classmethod
    def of(
        cls, boxes: Floats, scores: Floats, classes: Ints, windows: Floats, source_hw: tuple[int, int]
    ) -> TileBoxes:
        """Sort boxes by window, class, score and place, drop those outside their window, and find the cut sides."""
        order = np.lexsort((*boxes.T[::-1], -scores, classes, *windows.T[::-1]))
        boxes, scores, classes, windows = boxes[order], scores[order], classes[order], windows[order]
        boxes = np.concatenate(
            [np.maximum(boxes[:, LOW], windows[:, LOW]), np.minimum(boxes[:, HIGH], windows[:, HIGH])], axis=1
        )
        seen = (boxes[:, HIGH] > boxes[:, LOW]).all(axis=1)
        boxes, scores, classes, windows = boxes[seen], scores[seen], classes[seen], windows[seen]
        fresh = np.ones(len(windows), bool)
        fresh[1:] = (windows[1:] != windows[:-1]).any(axis=1)
        slack = np.maximum(SLACK_PIXELS, SLACK_OF_TILE * (windows[:, HIGH] - windows[:, LOW]))
        slack = np.maximum(slack, SLACK_OF_BOX * (boxes[:, HIGH] - boxes[:, LOW]))
        frame = np.array([0.0, 0.0, source_hw[1], source_hw[0]])
        inner = np.abs(windows - frame) > 0.5
        cut = inner & (np.abs(boxes - windows) <= np.tile(slack, 2))
        return cls(boxes, scores, classes, windows, np.cumsum(fresh) - 1, slack, cut)


def neighbours(boxes: Floats, classes: Ints, margin: float) -> Iterator[tuple[Ints, Ints]]:
    """Yield, in blocks, all pairs i < j of boxes (N, 4) of one class that are at most `margin` pixels apart.

    Boxes are entered in each band of rows that they cross, and sorted by their left side within a band (a sweep),
    so the work grows with the number of boxes and neighbours, not of all pairs.
    """
    count = len(boxes)
    if count < 2:
        return
    band = max(4.0 * float(np.median(boxes[:, 3] - boxes[:, 1])), float(np.ptp(boxes[:, 1])) / 4096, 1.0)
    base = float(boxes[:, 1].min())
    first = ((boxes[:, 1] - base) // band).astype(np.intp)
    last = ((boxes[:, 3] + margin - base) // band).astype(np.intp)
    owner = np.repeat(np.arange(count), last - first + 1)
    row = first[owner] + _ramp(last - first + 1)
    lanes = classes[owner] * (int(last.max()) + 1) + row
    left = boxes[owner, 0]
    order = np.lexsort((owner, left, lanes))
    owner, row, lanes, left = owner[order], row[order], lanes[order], left[order]
    _, lane = np.unique(lanes, return_inverse=True)
    stride = float(boxes[:, 2].max() - boxes[:, 0].min()) + 2 * margin + 1.0
    place = lane * stride + (left - boxes[:, 0].min())
    reach = place + (boxes[owner, 2] - left) + margin
    ends = np.searchsorted(place, reach, side="right")
    many = np.maximum(ends - np.arange(len(owner)) - 1, 0)
    block = np.cumsum(many) // BLOCK
    for here in np.split(np.arange(len(owner)), np.flatnonzero(np.diff(block)) + 1):
        a = np.repeat(here, many[here])
        b = a + 1 + _ramp(many[here])
        i, j = owner[a], owner[b]
        # A pair that shares several bands counts in the first of them.
        keep = row[a] == np.maximum(first[i], first[j])
        keep &= boxes[i, 1] <= boxes[j, 3] + margin
        keep &= boxes[j, 1] <= boxes[i, 3] + margin
        i, j = i[keep], j[keep]
        yield np.minimum(i, j), np.maximum(i, j)


def all_neighbours(boxes: Floats, classes: Ints, margin: float) -> tuple[Ints, Ints]:
    """Return all pairs that `neighbours` yields."""
    blocks = [(np.zeros(0, np.intp), np.zeros(0, np.intp)), *neighbours(boxes, classes, margin)]
    return np.concatenate([i for i, _ in blocks]), np.concatenate([j for _, j in blocks])


def _ramp(counts: Ints) -> Ints:
    """Return 0, 1, ..., count - 1 for each count, concatenated."""
    total = int(counts.sum())
    starts = np.cumsum(counts) - counts
    return np.arange(total) - np.repeat(starts, counts)


@dataclass(frozen=True, slots=True, eq=False)
class VisibleOverlap:
    """How pairs of boxes overlap in the region that both tiles see.

    `iou` (P,) is intersection over union there; `ios` (P,) is intersection over the fragment, or over the smaller
    of two fragments, and the IoU if neither is one; `cut` (P,) is True if one tile cuts its box where the other
    sees on; `sides` (P,) counts the sides of the object that both tiles see.
    """

    iou: Floats
    ios: Floats
    cut: Bools
    sides: Ints


def visible_overlap(table: TileBoxes, i: Ints, j: Ints) -> VisibleOverlap:
    """Compare boxes `i` with boxes `j` (P,) of other tiles, each clipped to the other's tile."""
    slack = np.maximum(table.slack[i], table.slack[j])
    low = np.maximum(table.windows[i, LOW], table.windows[j, LOW])
    high = np.minimum(table.windows[i, HIGH], table.windows[j, HIGH])
    low_i, high_i = np.maximum(table.boxes[i, LOW], low), np.minimum(table.boxes[i, HIGH], high)
    low_j, high_j = np.maximum(table.boxes[j, LOW], low), np.minimum(table.boxes[j, HIGH], high)
    cut_i, cut_j = _cut_inside(table, i, j), _cut_inside(table, j, i)
    either = cut_i | cut_j
    common = np.minimum(high_i, high_j) - np.maximum(low_i, low_j)
    hull = np.maximum(high_i, high_j) - np.minimum(low_i, low_j)
    # Across a seam the common region may be thinner than boxes are exact: there, boxes that touch agree.
    thin = (either[:, LOW] | either[:, HIGH]) & (hull <= 2 * slack) & (common >= -slack)
    inter = np.where(thin, 1.0, np.maximum(common, 0.0)).prod(axis=1)
    area_i = np.where(thin, 1.0, np.maximum(high_i - low_i, 0.0)).prod(axis=1)
    area_j = np.where(thin, 1.0, np.maximum(high_j - low_j, 0.0)).prod(axis=1)
    piece_i, piece_j = cut_i.any(axis=1), cut_j.any(axis=1)
    least = np.where(piece_i, np.where(piece_j, np.minimum(area_i, area_j), area_i), area_j)
    iou = _ratio(inter, area_i + area_j - inter)
    cut = np.asarray(piece_i | piece_j)
    ios = np.where(cut, _ratio(inter, least), iou)
    return VisibleOverlap(iou, ios, cut, _sides(table, i, j, low - slack, high + slack))


def _cut_inside(table: TileBoxes, i: Ints, j: Ints) -> Bools:
    """Return the sides (P, 4) of boxes `i` that their tile cuts and beyond which the tile of `j` sees on."""
    mine, other = table.windows[i], table.windows[j]
    beyond = np.concatenate([mine[:, LOW] > other[:, LOW], mine[:, HIGH] < other[:, HIGH]], axis=1)
    return np.asarray(table.cut[i] & beyond)


def _sides(table: TileBoxes, i: Ints, j: Ints, low: Floats, high: Floats) -> Ints:
    """Count the sides (P,) that neither tile cuts and that lie in the region `low` to `high` that both see."""
    low, high = np.tile(low, 2), np.tile(high, 2)
    whole = ~table.cut[i] & ~table.cut[j]
    inside = np.ones_like(whole)
    for k in (i, j):
        inside &= (table.boxes[k] >= low) & (table.boxes[k] <= high)
    return np.asarray((whole & inside).sum(axis=1))


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, and 0 where whole is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
