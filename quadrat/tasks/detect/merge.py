"""One box per object, from the boxes that a detector found in each tile.

Two boxes of one class from different tiles are one object if they agree on the region that both tiles see: each box
is clipped to the other's tile, and the overlap of the clipped boxes must reach the threshold. A fragment at a seam
therefore agrees with the whole object in the next tile; two fragments of an object larger than the overlap agree in
the strip between the seams; two boxes of a whole object agree entirely; and an object nested in another, or touching
it, agrees with neither. Pairs are joined from the best agreement down. A tile that found two boxes saw two objects,
so a group never holds two boxes of one tile; only a fragment that no other tile confirms, and that lies inside an
object it agrees with, is taken for a part of that object.

A group becomes its best box that no seam cuts, or with `wbf` the mean of these weighted by score; if a seam cuts all
of them, it becomes their union. Boxes found in the whole frame are less exact than those of tiles, so they only
add to them (full_frame.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quadrat.errors import ParameterError
from quadrat.geometry import HW
from quadrat.predictions import Detections
from quadrat.tasks.detect.full_frame import MergedBoxes, add_full_frame
from quadrat.tasks.detect.tile_boxes import (
    HIGH,
    LOW,
    Bools,
    Floats,
    Ints,
    TileBoxes,
    all_neighbours,
    neighbours,
    visible_overlap,
)

METHODS = ("ios", "iou", "wbf")
INSIDE_SLACK = 3.0
"""Pixels by which a fragment may reach out of the object that it is a part of: real detectors err by 1 to 3."""

Bounds = tuple[float, float, float, float]
"""x0, y0, x1, y1 in source pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class TileDetections:
    """The objects found in one tile, in source pixels, and the tile's window.

    `window` is None if the network was given the whole frame.
    """

    detections: Detections
    window: Bounds | None


def merge_tiles(
    found: Sequence[TileDetections], source_hw: HW, method: str = "ios", threshold: float = 0.5
) -> Detections:
    """Merge the objects found in tiles and in the whole frame of `source_hw` (height, width) pixels.

    `method` selects the measure of agreement: `ios` and `wbf` use intersection over the fragment (or over the
    smaller of two fragments), because a slanted object's fragment has a smaller box than its part of the whole
    box; `iou` uses intersection over union. `threshold` is the least agreement of one object, in 0..1.
    Boxes that are not finite, or lie outside their tile, are dropped. The result is sorted by falling score, and
    does not depend on the order of `found`. Raises ParameterError for an unknown method.
    """
    if method not in METHODS:
        raise ParameterError(
            f"there is no method {method!r}", where="merge", hint=f"Choose {', '.join(METHODS)}"
        )
    table = _gather([f for f in found if f.window is not None], source_hw)
    full_frame = _gather([f for f in found if f.window is None], source_hw)
    groups, i, j = _groups(table, method, threshold)
    objects = _fuse(table, groups, mean=method == "wbf")
    surplus = _tile_filling(objects, source_hw) | _unconfirmed_parts(table, groups, i, j, objects)
    objects = objects[~surplus]
    tiles = np.array([f.window for f in found if f.window is not None], np.float64).reshape(-1, 4)
    if len(full_frame):
        objects = add_full_frame(objects, full_frame, _tile_size(tiles, source_hw), source_hw, threshold)
    order = np.lexsort((*objects.boxes.T[::-1], objects.classes, -objects.scores))
    objects = objects[order]
    return Detections(
        objects.boxes.astype(np.float32),
        objects.scores.astype(np.float32),
        objects.classes.astype(np.int32),
    )


def _tile_size(tiles: Floats, source_hw: HW) -> Floats:
    """Return width and height of the largest tile, or the frame's if there are no tiles."""
    if not len(tiles):
        return np.array([source_hw[1], source_hw[0]], np.float64)
    return np.asarray((tiles[:, HIGH] - tiles[:, LOW]).max(axis=0))


def _gather(found: Sequence[TileDetections], source_hw: HW) -> TileBoxes:
    """Collect the finite boxes of all tiles."""
    frame = (0.0, 0.0, float(source_hw[1]), float(source_hw[0]))
    boxes = np.concatenate([np.zeros((0, 4)), *(f.detections.boxes for f in found)]).astype(np.float64)
    scores = np.concatenate([np.zeros(0), *(f.detections.scores for f in found)]).astype(np.float64)
    classes = np.concatenate([np.zeros(0, np.intp), *(f.detections.classes for f in found)]).astype(np.intp)
    windows = np.array([f.window or frame for f in found], np.float64).reshape(-1, 4)
    windows = np.repeat(windows, [len(f.detections) for f in found], axis=0)
    good = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    if not good.all():
        boxes, scores, classes, windows = boxes[good], scores[good], classes[good], windows[good]
    return TileBoxes.of(boxes, scores, classes, windows, source_hw)


def _groups(table: TileBoxes, method: str, threshold: float) -> tuple[Ints, Ints, Ints]:
    """Return the object (N,) that each box belongs to, counted from 0, and the pairs i, j (P,) that agree."""
    none = np.zeros(0, np.intp)
    blocks = [
        _agreeing(table, i, j, method, threshold)
        for i, j in neighbours(table.boxes, table.classes, 2 * float(table.slack.max(initial=0.0)))
    ]
    if not blocks:
        return np.arange(len(table)), none, none
    i, j, iou, sides = (np.concatenate(column) for column in zip(*blocks, strict=True))
    order = np.lexsort((j, i, -sides, -np.round(iou, 4)))
    joined = _joined(len(table), i[order], j[order], table.tiles)
    return np.unique(joined, return_inverse=True)[1].reshape(-1), i, j


def _agreeing(
    table: TileBoxes, i: Ints, j: Ints, method: str, threshold: float
) -> tuple[Ints, Ints, Floats, Ints]:
    """Keep the pairs that agree; return them with their IoU and the number of the object's sides that both see."""
    apart = table.tiles[i] != table.tiles[j]
    i, j = i[apart], j[apart]
    overlap = visible_overlap(table, i, j)
    measure = overlap.iou if method == "iou" else overlap.ios
    # Where both tiles see no side of the object, any two boxes fill the region and would agree.
    one = (measure >= threshold) & (~overlap.cut | (overlap.sides > 0)) & (measure > 0)
    return i[one], j[one], overlap.iou[one], overlap.sides[one]


def _joined(count: int, i: Ints, j: Ints, tiles: Ints) -> Ints:
    """Join pairs in the order given, unless a group would get two boxes of one tile; return each box's group (N,)."""
    group = list(range(count))
    members: dict[int, list[int]] = {}
    seen: dict[int, set[int]] = {}
    tile_of: list[int] = tiles.tolist()
    for a, b in zip(i.tolist(), j.tolist(), strict=True):
        first, second = group[a], group[b]
        if first == second:
            continue
        seen_first = seen.get(first) or {tile_of[first]}
        seen_second = seen.get(second) or {tile_of[second]}
        if not seen_first.isdisjoint(seen_second):
            continue
        seen[first] = seen_first | seen_second
        moved = members.pop(second, [second])
        members.setdefault(first, [first]).extend(moved)
        for box in moved:
            group[box] = first
    return np.array(group, np.intp)


def _fuse(table: TileBoxes, groups: Ints, *, mean: bool) -> MergedBoxes:
    """Make one object of each group: its best uncut box (with `mean` their mean), or the union of its fragments."""
    if not len(table):
        return MergedBoxes(table.boxes, table.scores, table.classes, table.cut)
    piece = np.asarray(table.cut.any(axis=1))
    order = np.lexsort((-table.scores, piece, groups))
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0])
    sizes = np.diff(np.r_[starts, len(order)])
    boxes, cut, piece = table.boxes[order], table.cut[order], piece[order]
    hull = np.concatenate(
        [np.minimum.reduceat(boxes[:, LOW], starts), np.maximum.reduceat(boxes[:, HIGH], starts)], axis=1
    )
    slack = np.tile(table.slack[order], 2)
    ends = ~cut & (np.abs(boxes - np.repeat(hull, sizes, axis=0)) <= slack)
    unended = ~np.logical_or.reduceat(ends, starts)
    best = boxes[starts]
    if mean:
        weights = np.where(piece, 0.0, np.maximum(table.scores[order], 1e-9))[:, None]
        total = np.add.reduceat(weights, starts)
        best = np.add.reduceat(boxes * weights, starts) / np.where(total > 0, total, 1.0)
    fragments = piece[starts]
    scores = np.maximum.reduceat(table.scores[order], starts)
    return MergedBoxes(
        np.where(fragments[:, None], hull, best),
        scores,
        table.classes[order][starts],
        unended & fragments[:, None],
    )


def _tile_filling(objects: MergedBoxes, source_hw: HW) -> Bools:
    """Return True (N,) for fragments that fill their tile, and so show no side, inside a larger object."""
    drop = np.zeros(len(objects), bool)
    frame = np.array([0.0, 0.0, source_hw[1], source_hw[0]])
    bare = objects.open.any(axis=1) & (objects.open | (np.abs(objects.boxes - frame) <= 0.5)).all(axis=1)
    if not bare.any():
        return drop
    i, j = all_neighbours(objects.boxes, objects.classes, 0.0)
    for small, large in ((i, j), (j, i)):
        inside = bare[small] & ~bare[large] & _inside(objects.boxes[small], objects.boxes[large])
        drop[small[inside]] = True
    return drop


def _unconfirmed_parts(table: TileBoxes, groups: Ints, i: Ints, j: Ints, objects: MergedBoxes) -> Bools:
    """Return True (N,) for lone fragments inside an object that they agree with, and that has a box of their tile."""
    drop = np.zeros(len(objects), bool)
    lone = (np.bincount(groups, minlength=len(objects)) == 1)[groups] & table.cut.any(axis=1)
    for one, other in ((i, j), (j, i)):
        apart = lone[one] & ~lone[other]
        part, whole = one[apart], groups[other[apart]]
        drop[groups[part[_inside(table.boxes[part], objects.boxes[whole])]]] = True
    return drop


def _inside(small: Floats, large: Floats, slack: float = INSIDE_SLACK) -> Bools:
    """Return True (P,) where the small box (P, 4) lies in the large one, grown by `slack` pixels."""
    low = (small[:, LOW] >= large[:, LOW] - slack).all(axis=1)
    return np.asarray(low & (small[:, HIGH] <= large[:, HIGH] + slack).all(axis=1))
