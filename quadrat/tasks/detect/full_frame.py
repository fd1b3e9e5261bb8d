"""Boxes found in the whole frame, added to the objects merged from its tiles.

The network sees the whole frame at a lower resolution, so its boxes are less exact than those of tiles. A box that
agrees with an object of the tiles, or that objects cover, is dropped; a box that agrees with fragments as far as
their tiles see replaces them; any other box is an object that no tile shows, and is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quadrat.geometry import HW
from quadrat.tasks.detect.tile_boxes import HIGH, LOW, Bools, Floats, Ints, TileBoxes, all_neighbours


@dataclass(frozen=True, slots=True, eq=False)
class MergedBoxes:
    """Merged objects as columns.

    `boxes` (N, 4) float64 are x0, y0, x1, y1 in source pixels; `scores` (N,) float64; `classes` (N,) intp; `open`
    (N, 4) bool marks the sides that a seam cuts and at which no other tile has seen the object's end.
    """

    boxes: Floats
    scores: Floats
    classes: Ints
    open: Bools

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.scores)

    def __getitem__(self, index: Bools | Ints) -> MergedBoxes:
        """Select objects by a mask or by indices."""
        return MergedBoxes(self.boxes[index], self.scores[index], self.classes[index], self.open[index])


def add_full_frame(
    objects: MergedBoxes, whole: TileBoxes, tile: Floats, source_hw: HW, threshold: float
) -> MergedBoxes:
    """Add the boxes `whole` of a frame of `source_hw` (height, width) pixels to the objects of its tiles.

    `tile` is (width, height) of the largest tile in source pixels; `threshold` is the least agreement, in 0..1.
    """
    frame = np.array([source_hw[1], source_hw[0]], np.float64)
    # The scale at which the network saw the frame; its boxes are exact to about two of its pixels.
    slack = 2.0 * max(1.0, float((frame / tile).max()))
    count, boxes, scores = len(objects), whole.boxes.copy(), whole.scores.copy()
    i, j = all_neighbours(
        np.concatenate([objects.boxes, boxes]), np.concatenate([objects.classes, whole.classes]), slack
    )
    mixed = (i < count) & (j >= count)
    i, j = i[mixed], j[mixed] - count
    match, beyond = _match(objects, i, boxes[j], slack)
    alike = match >= threshold
    takes = alike & beyond
    owner = _owners(count, i[takes], j[takes], match[takes])
    covered = np.bincount(j, _covered(boxes[j], objects.boxes[i], slack), len(boxes))
    fits = ((boxes[:, HIGH] - boxes[:, LOW]) <= tile).all(axis=1)
    # An object larger than a tile may contain others of its class, so a higher share must be covered.
    dropped = covered >= np.where(fits, threshold, (1 + threshold) / 2)
    dropped[j[alike & ~beyond]] = True
    for k in np.unique(owner[owner >= 0]).tolist():
        pieces = objects[owner == k]
        boxes[k], scores[k] = _completed(boxes[k], pieces), max(scores[k], pieces.scores.max())
        dropped[k] = False
    rest, kept = objects[owner < 0], ~dropped
    return MergedBoxes(
        np.concatenate([rest.boxes, boxes[kept]]),
        np.concatenate([rest.scores, scores[kept]]),
        np.concatenate([rest.classes, whole.classes[kept]]),
        np.concatenate([rest.open, np.zeros((int(kept.sum()), 4), bool)]),
    )


def _match(objects: MergedBoxes, i: Ints, whole: Floats, slack: float) -> tuple[Floats, Bools]:
    """Return the agreement (P,) of objects `i` with boxes (P, 4), and True (P,) where a box continues beyond a seam.

    The agreement is 1 minus the distance of the sides over the hull, multiplied over x and y. Beyond an open side
    nothing is compared.
    """
    box, opened = objects.boxes[i], objects.open[i]
    outwards = np.concatenate([box[:, LOW] - whole[:, LOW], whole[:, HIGH] - box[:, HIGH]], axis=1)
    beyond = np.asarray((opened & (outwards > slack)).any(axis=1))
    apart = np.where(opened & (outwards > 0), 0.0, np.maximum(np.abs(outwards) - slack, 0.0))
    seen = np.where(opened & (outwards > 0), box, whole)
    hull = np.maximum(box[:, HIGH], seen[:, HIGH]) - np.minimum(box[:, LOW], seen[:, LOW])
    shared = 1.0 - (apart[:, LOW] + apart[:, HIGH]) / np.maximum(hull, 1e-9)
    return np.maximum(shared, 0.0).prod(axis=1), beyond


def _owners(count: int, i: Ints, j: Ints, match: Floats) -> Ints:
    """Return the box (N,) that each fragment agrees with best, or -1; of equal ones, the first."""
    owner = np.full(count, -1, np.intp)
    order = np.lexsort((-j, match))
    owner[i[order]] = j[order]
    return owner


def _covered(whole: Floats, boxes: Floats, slack: float) -> Floats:
    """Return the share (P,) of each box that the object of its pair covers, grown by `slack` pixels."""
    low = np.maximum(whole[:, LOW], boxes[:, LOW] - slack)
    high = np.minimum(whole[:, HIGH], boxes[:, HIGH] + slack)
    area = (whole[:, HIGH] - whole[:, LOW]).prod(axis=1)
    return np.asarray(np.maximum(high - low, 0.0).prod(axis=1) / np.maximum(area, 1e-9))


def _completed(whole: Floats, pieces: MergedBoxes) -> Floats:
    """Return the box (4,) with each side that fragments show taken from them, since they are more exact."""
    far = np.where(
        pieces.open, np.inf, np.concatenate([pieces.boxes[:, LOW], -pieces.boxes[:, HIGH]], axis=1)
    )
    sides = far.min(axis=0) * np.array([1.0, 1.0, -1.0, -1.0])
    return np.where(pieces.open.all(axis=0), whole, sides)
