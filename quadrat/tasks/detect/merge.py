"""One box for each object, from what a detector found in each tile.

Two boxes of one class from different tiles are one object if they agree in the part that both tiles see:
each box is cut to the other's tile, and what is left of them must overlap. So a fragment at a seam agrees
with the whole object next door, two fragments of an object larger than the overlap agree in the strip
between the seams, two views of a whole object agree altogether, and an object nested in another, or
touching it, agrees with neither. Pairs are joined from the best agreement down, and one object has at most
one box of each tile, as a tile that found two boxes has seen two objects; but a fragment that is left over,
as no other tile knows it, and lies in an object that it agrees with, is a part of that object.

Of a joined group the best box that no seam cuts is kept (`wbf`: their mean weighted by score); where a
seam cuts all of them, their union. The boxes of the whole picture are blurred, so they only add: one that
tiles explain is dropped, one that explains fragments takes them in, any other is kept as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quadrat.errors import ParameterError
from quadrat.geometry import HW
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
from quadrat.types import Detections

METHODS = ("ios", "iou", "wbf")

Bounds = tuple[float, float, float, float]
"""x0, y0, x1, y1 in source pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class TileDetections:
    """What was found in one tile: boxes in source pixels, and the tile's window.

    `window` is x0, y0, x1, y1 in source pixels; None where the network was given the whole picture.
    """

    detections: Detections
    window: Bounds | None


def merge_tiles(
    found: Sequence[TileDetections], source_hw: HW, method: str = "ios", threshold: float = 0.5
) -> Detections:
    """Merge what was found in tiles, and in the whole picture, of `source_hw` (height, width) pixels.

    `method`: `ios` and `wbf` measure agreement by intersection over the fragment (a slanted object's fragment
    is smaller than its box), `iou` by intersection over union; `threshold` is the least agreement.
    Boxes that are not finite or lie outside their tile are left out. The result is in order of score, and
    is the same for any order of `found`. ParameterError for a method that does not exist.
    """
    if method not in METHODS:
        raise ParameterError(
            f"there is no method {method!r}", where="merge", hint=f"Choose {', '.join(METHODS)}"
        )
    table = _gather([f for f in found if f.window is not None], source_hw)
    blurred = _gather([f for f in found if f.window is None], source_hw)
    groups, i, j = _groups(table, method, threshold)
    objects = _fuse(table, groups, mean=method == "wbf")
    objects = objects[~(_filled(objects, source_hw) | _echoes(table, groups, i, j, objects))]
    tiles = np.array([f.window for f in found if f.window is not None], np.float64).reshape(-1, 4)
    if len(blurred):
        objects = add_full_frame(objects, blurred, _tile_size(tiles, source_hw), source_hw, threshold)
    order = np.lexsort((*objects.boxes.T[::-1], objects.classes, -objects.scores))
    objects = objects[order]
    return Detections(
        objects.boxes.astype(np.float32),
        objects.scores.astype(np.float32),
        objects.classes.astype(np.int32),
    )


def _tile_size(tiles: Floats, source_hw: HW) -> Floats:
    """Width and height of the largest tile, the picture's where there is none."""
    if not len(tiles):
        return np.array([source_hw[1], source_hw[0]], np.float64)
    return np.asarray((tiles[:, HIGH] - tiles[:, LOW]).max(axis=0))


def _gather(found: Sequence[TileDetections], source_hw: HW) -> TileBoxes:
    """Put boxes of all tiles into one table."""
    picture = (0.0, 0.0, float(source_hw[1]), float(source_hw[0]))
    boxes = np.concatenate([np.zeros((0, 4)), *(f.detections.boxes for f in found)]).astype(np.float64)
    scores = np.concatenate([np.zeros(0), *(f.detections.scores for f in found)]).astype(np.float64)
    classes = np.concatenate([np.zeros(0, np.intp), *(f.detections.classes for f in found)]).astype(np.intp)
    windows = np.array([f.window or picture for f in found], np.float64).reshape(-1, 4)
    windows = np.repeat(windows, [len(f.detections) for f in found], axis=0)
    good = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    if not good.all():
        boxes, scores, classes, windows = boxes[good], scores[good], classes[good], windows[good]
    return TileBoxes.of(boxes, scores, classes, windows, source_hw)


def _groups(table: TileBoxes, method: str, threshold: float) -> tuple[Ints, Ints, Ints]:
    """Number of the object (N,) that each box belongs to, counted from 0, and the pairs that agree."""
    none = np.zeros(0, np.intp)
    blocks = [
        _agreeing(table, i, j, method, threshold)
        for i, j in neighbours(table.boxes, table.classes, 2 * float(table.slack.max(initial=0.0)))
    ]
    if not blocks:
        return np.arange(len(table)), none, none
    i, j, union, sides = (np.concatenate(column) for column in zip(*blocks, strict=True))
    order = np.lexsort((j, i, -sides, -np.round(union, 4)))
    joined = _joined(len(table), i[order], j[order], table.tiles)
    return np.unique(joined, return_inverse=True)[1].reshape(-1), i, j


def _agreeing(
    table: TileBoxes, i: Ints, j: Ints, method: str, threshold: float
) -> tuple[Ints, Ints, Floats, Ints]:
    """Keep the pairs that are one object, with their intersection over union and the sides in sight."""
    apart = table.tiles[i] != table.tiles[j]
    i, j = i[apart], j[apart]
    pairs = visible_overlap(table, i, j)
    measure = pairs.union if method == "iou" else pairs.smaller
    # A pair without a side of the object in sight would agree whatever it shows.
    one = (measure >= threshold) & (~pairs.cut | (pairs.sides > 0)) & (measure > 0)
    return i[one], j[one], pairs.union[one], pairs.sides[one]


def _joined(count: int, i: Ints, j: Ints, tiles: Ints) -> Ints:
    """Join pairs in the order given, unless an object would have two boxes of one tile."""
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
    """Make one object of each group: its best whole box (or their mean), or the union of its fragments."""
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


def _filled(objects: MergedBoxes, source_hw: HW) -> Bools:
    """Find fragments that fill their tile, without a side of the object, inside a larger object (N,)."""
    drop = np.zeros(len(objects), bool)
    picture = np.array([0.0, 0.0, source_hw[1], source_hw[0]])
    bare = objects.open.any(axis=1) & (objects.open | (np.abs(objects.boxes - picture) <= 0.5)).all(axis=1)
    if not bare.any():
        return drop
    i, j = all_neighbours(objects.boxes, objects.classes, 0.0)
    for small, large in ((i, j), (j, i)):
        inside = bare[small] & ~bare[large] & _inside(objects.boxes[small], objects.boxes[large])
        drop[small[inside]] = True
    return drop


def _echoes(table: TileBoxes, groups: Ints, i: Ints, j: Ints, objects: MergedBoxes) -> Bools:
    """Find lone fragments inside an object that they agree with, though their tile gave it another box (N,)."""
    drop = np.zeros(len(objects), bool)
    lone = (np.bincount(groups, minlength=len(objects)) == 1)[groups] & table.cut.any(axis=1)
    for one, other in ((i, j), (j, i)):
        apart = lone[one] & ~lone[other]
        part, whole = one[apart], groups[other[apart]]
        drop[groups[part[_inside(table.boxes[part], objects.boxes[whole])]]] = True
    return drop


def _inside(small: Floats, large: Floats, slack: float = 1.0) -> Bools:
    """Whether each box (P, 4) lies in the other of its pair."""
    low = (small[:, LOW] >= large[:, LOW] - slack).all(axis=1)
    return np.asarray(low & (small[:, HIGH] <= large[:, HIGH] + slack).all(axis=1))
