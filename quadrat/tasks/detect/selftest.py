"""The self-test of detectors: the objects that an archive states for an input, and whether an engine finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW
from quadrat.package.detectors import read_detect
from quadrat.package.selftest import read_selftest
from quadrat.protocols import Engine
from quadrat.tasks.detect import layouts
from quadrat.types import ModelPackage

MOST = 50
"""Number of objects to compare: the best ones."""
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


def differs(package: ModelPackage, engine: Engine, allowed: float) -> str:
    """Return how an engine's objects differ from those of the archive's self-test, or "" if they agree.

    Of the best objects of both, a share of `allowed` may be missing, or more if the archive allows it.
    """
    test = read_selftest(package, "boxes", "scores", "classes")
    if test is None:
        return ""
    hw: HW = (test.image.shape[2], test.image.shape[3])
    read, layout = reader(
        layouts.DetectorSpec(
            package.name, tuple(engine.outputs), package.outputs, package.num_classes,
            read_detect(package.meta), package.input_shape[0], hw,
        )
    )  # fmt: skip
    expected = CanonicalObjects(*(test.arrays[name] for name in ("boxes", "scores", "classes")))
    found = compare(read(engine.run(test.image, layout.wanted), hw), expected)
    if found.missing <= max(allowed, test.tolerance) * found.of:
        return ""
    return f"{found.missing} of {found.of} objects of the archive's self-test are missing or elsewhere"
