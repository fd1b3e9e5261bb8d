"""Boxes of the whole picture, added to the objects that its tiles gave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quadrat.geometry import HW
from quadrat.tasks.detect.tile_boxes import HIGH, LOW, Bools, Floats, Ints, TileBoxes, all_neighbours


@dataclass(frozen=True, slots=True, eq=False)
class MergedBoxes:
    """Merged objects as columns: `boxes` (N, 4) in source pixels, `scores`, `classes` (N,), `open` (N, 4).

    `open`: a seam cuts that side, and no other tile has seen the object's end there.
    """

    boxes: Floats
    scores: Floats
    classes: Ints
    open: Bools

    def __len__(self) -> int:
        """Count the objects."""
        return len(self.scores)

    def __getitem__(self, index: Bools | Ints) -> MergedBoxes:
        """Select objects by a mask or by indices."""
        return MergedBoxes(self.boxes[index], self.scores[index], self.classes[index], self.open[index])


def add_full_frame(
    objects: MergedBoxes, blurred: TileBoxes, tile: Floats, source_hw: HW, threshold: float
) -> MergedBoxes:
    """Add boxes of the whole picture to objects of tiles of at most `tile` (width, height) pixels.

    A box is dropped if it agrees with an object or if objects cover it; it takes in the fragments that agree
    with it as far as their tiles see; else it is kept.
    """
    picture = np.array([source_hw[1], source_hw[0]], np.float64)
    # The network saw the whole picture this many times coarser; a box is exact to about two of its pixels.
    slack = 2.0 * max(1.0, float((picture / tile).max()))
    count, boxes, scores = len(objects), blurred.boxes.copy(), blurred.scores.copy()
    i, j = all_neighbours(
        np.concatenate([objects.boxes, boxes]), np.concatenate([objects.classes, blurred.classes]), slack
    )
    mixed = (i < count) & (j >= count)
    i, j = i[mixed], j[mixed] - count
    match, beyond = _match(objects, i, boxes[j], slack)
    alike = match >= threshold
    takes = alike & beyond
    owner = _owners(count, i[takes], j[takes], match[takes])
    covered = np.bincount(j, _covered(boxes[j], objects.boxes[i], slack), len(boxes))
    fits = ((boxes[:, HIGH] - boxes[:, LOW]) <= tile).all(axis=1)
    # What is larger than a tile may hold others of its class, so more must speak against it.
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
        np.concatenate([rest.classes, blurred.classes[kept]]),
        np.concatenate([rest.open, np.zeros((int(kept.sum()), 4), bool)]),
    )


def _match(objects: MergedBoxes, i: Ints, wide: Floats, slack: float) -> tuple[Floats, Bools]:
    """How well objects `i` (P,) agree with boxes (P, 4) on what is not open, and whether those go on beyond it."""
    box, opened = objects.boxes[i], objects.open[i]
    outwards = np.concatenate([box[:, LOW] - wide[:, LOW], wide[:, HIGH] - box[:, HIGH]], axis=1)
    beyond = np.asarray((opened & (outwards > slack)).any(axis=1))
    apart = np.where(opened & (outwards > 0), 0.0, np.maximum(np.abs(outwards) - slack, 0.0))
    seen = np.where(opened & (outwards > 0), box, wide)
    hull = np.maximum(box[:, HIGH], seen[:, HIGH]) - np.minimum(box[:, LOW], seen[:, LOW])
    shared = 1.0 - (apart[:, LOW] + apart[:, HIGH]) / np.maximum(hull, 1e-9)
    return np.maximum(shared, 0.0).prod(axis=1), beyond


def _owners(count: int, i: Ints, j: Ints, match: Floats) -> Ints:
    """The box (N,) that each fragment agrees with best, -1 where there is none."""
    owner = np.full(count, -1, np.intp)
    order = np.lexsort((-j, match))
    owner[i[order]] = j[order]
    return owner


def _covered(wide: Floats, boxes: Floats, slack: float) -> Floats:
    """Share (P,) of each box that an object covers when grown by `slack` pixels."""
    low = np.maximum(wide[:, LOW], boxes[:, LOW] - slack)
    high = np.minimum(wide[:, HIGH], boxes[:, HIGH] + slack)
    area = (wide[:, HIGH] - wide[:, LOW]).prod(axis=1)
    return np.asarray(np.maximum(high - low, 0.0).prod(axis=1) / np.maximum(area, 1e-9))


def _completed(wide: Floats, pieces: MergedBoxes) -> Floats:
    """Take each side from the fragments that show it, which are sharper, and else from the box (4,)."""
    far = np.where(
        pieces.open, np.inf, np.concatenate([pieces.boxes[:, LOW], -pieces.boxes[:, HIGH]], axis=1)
    )
    sides = far.min(axis=0) * np.array([1.0, 1.0, -1.0, -1.0])
    return np.where(pieces.open.all(axis=0), wide, sides)
