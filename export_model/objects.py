"""The self-test of detectors: a picture and the objects that the network finds in it, stored in the archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model.network import F32, Shape
from quadrat.geometry import HW, Geometry
from quadrat.tasks.detect import layouts
from quadrat.transforms import build
from quadrat.types import ImageU8, TransformSpec

VALUES = ("Normalize", "ToBGR")
"""Transforms that change the values of pixels, not the size of the picture."""
OPEN: HW = (96, 128)
"""(height, width) of the test picture if neither network nor transforms fix it; multiples of 32."""
TRIES = 8
MOST = 50
"""Number of objects to compare: the best ones."""
KEPT = 2 * MOST
"""Number of objects that the self-test keeps, so that a tie at the fiftieth place does not matter."""
LEAST = 1e-6
"""Objects with a lower score are ignored."""
SURE = 0.05
"""Score from which the class must match: below it, two classes may nearly tie."""
PIXELS, SCORES = 1.0, 0.01
"""Largest difference of a box's sides (pixels) and of a score between engines."""


@dataclass(frozen=True, slots=True, eq=False)
class CanonicalObjects:
    """The objects in one network input, independent of the layout of the outputs.

    `boxes` (M, 4) float32 x0, y0, x1, y1 in pixels of the tensor, `scores` (M,) float32, `classes` (M,) int64.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def best(self, count: int = MOST) -> CanonicalObjects:
        """Return the best `count` objects in order of score."""
        order = np.argsort(-self.scores, kind="stable")[:count]
        return CanonicalObjects(self.boxes[order], self.scores[order], self.classes[order])


Reading = Callable[[Mapping[str, NDArray[Any]], HW], CanonicalObjects]
"""Maps the outputs of a batch by name, and the tensor's (h, w), to the objects in its first input."""


def reader(network: layouts.DetectorSpec) -> tuple[Reading, layouts.Layout]:
    """Return the function that reads a network's objects, and its layout; LayoutError or ClassesError if it does not fit."""
    layout = layouts.choose(network)

    def read(arrays: Mapping[str, NDArray[Any]], hw: HW) -> CanonicalObjects:
        first = {key: array[0] if layout.batched else array for key, array in arrays.items()}
        found = layout.read({key: first[key] for key in layout.wanted}, hw, LEAST)
        return CanonicalObjects(found.boxes, found.scores, found.classes)

    return read, layout


def tensor(picture: ImageU8, transforms: tuple[Mapping[str, Any], ...]) -> F32:
    """Apply transforms in the form of deploy.yaml to a picture (h, w, 3) and return (1, 3, H, W) float32."""
    specs = [TransformSpec(str(t["type"]), {k: v for k, v in t.items() if k != "type"}) for t in transforms]
    made, _ = build(specs)(picture, Geometry.identity((picture.shape[0], picture.shape[1])))
    return np.ascontiguousarray(made[None], np.float32)


def sides(shape: Shape, transforms: tuple[Mapping[str, Any], ...]) -> HW:
    """Return the (height, width) of the network's inputs, or OPEN if it depends on the picture."""
    if any(transform.get("type") not in VALUES for transform in transforms):
        first, second = (
            tensor(np.zeros((*hw, 3), np.uint8), transforms).shape[2:] for hw in ((60, 80), (80, 60))
        )
        if first == second:
            return (first[0], first[1])
    height, width = (side or default for side, default in zip(shape[2:], OPEN, strict=True))
    return (int(height), int(width))


def choose(
    run: Callable[[F32], CanonicalObjects],
    hw: HW,
    transforms: tuple[Mapping[str, Any], ...],
    pictures: Sequence[ImageU8] = (),
) -> tuple[NDArray[np.float16], CanonicalObjects]:
    """Choose the drawing or picture whose objects have the best scores.

    Returns it as (1, 3, h, w) float16, and its objects.
    """
    tried = []
    for picture in (*(drawing(seed, hw) for seed in range(TRIES)), *pictures):
        image = tensor(picture, transforms).astype(np.float16)
        found = run(image.astype(np.float32)).best(KEPT)
        tried.append((float(found.scores[:10].sum()), image, found))
    _, image, found = max(tried, key=lambda one: one[0])
    return image, found


def drawing(seed: int, hw: HW) -> ImageU8:
    """Draw flat rectangles of strong colours on grey, (h, w, 3) uint8, which many detectors respond to."""
    rng = np.random.default_rng(seed)
    picture = np.full((*hw, 3), int(rng.integers(90, 200)), np.uint8)
    for _ in range(6):
        height, width = (int(rng.integers(side // 8, side // 3 + 2)) for side in hw)
        top, left = int(rng.integers(0, hw[0] - height + 1)), int(rng.integers(0, hw[1] - width + 1))
        color = rng.permutation(
            [int(rng.integers(30, 70)), int(rng.integers(40, 90)), int(rng.integers(190, 240))]
        )
        picture[top : top + height, left : left + width] = color
    return picture


@dataclass(frozen=True, slots=True)
class Difference:
    """The number of unmatched objects `of` both sides, and the largest differences between matched ones."""

    missing: int
    of: int
    pixels: float
    scores: float


def compare(one: CanonicalObjects, other: CanonicalObjects) -> Difference:
    """Look for each of the best objects of one side among all objects of the other, and the other way round.

    Two objects match if place and score are close and the class is the same. Differences only in the last ranks,
    between scores that nearly tie, do not count as missing objects.
    """
    missing, pixels, scores = 0, 0.0, 0.0
    best, others = one.best(), other.best()
    for few, all_ in ((best, other), (others, one)):
        for box, score, kind in zip(few.boxes, few.scores, few.classes, strict=True):
            off = np.abs(all_.boxes - box).max(axis=1, initial=0.0)
            gap = np.abs(all_.scores - score)
            fits = (off <= PIXELS) & (gap <= SCORES) & ((all_.classes == kind) | (score < SURE))
            if fits.any():
                nearest = np.flatnonzero(fits)[np.argmin(off[fits])]
                pixels, scores = max(pixels, float(off[nearest])), max(scores, float(gap[nearest]))
            else:
                missing += 1
    return Difference(missing, len(best.scores) + len(others.scores), pixels, scores)
