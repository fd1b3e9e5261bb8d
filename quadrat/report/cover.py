"""Exact counts of a label plane, per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quadrat.package.classes import class_of
from quadrat.task_kinds import kind_of
from quadrat.types import UNKNOWN, ClassInfo, Cover, Segmentation

BLOCK = 1 << 20
"""Pixels counted at a time: bincount widens each to 8 bytes, twice."""

UNKNOWN_CLASS = ClassInfo(UNKNOWN, "urn:ibenthos:segmentation:class:unknown", "unknown", (128, 128, 128))
"""Pixels under the confidence floor; listed only where a floor is set."""


class ClassList(Protocol):
    """What lists the classes of a model: its package, or its facts."""

    @property
    def task(self) -> str:
        """The name of the model's task."""

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes in index order; empty if the archive lists none."""

    @property
    def num_classes(self) -> int | None:
        """How many classes the network has, if that is known."""


def complete_classes(package: ClassList, segmentation: Segmentation) -> list[ClassInfo]:
    """Give the archive's classes or, where it lists none, one for every index known or seen."""
    if package.classes:
        return list(package.classes)
    urn = kind_of(package.task).class_urn
    count = package.num_classes or _highest(segmentation.labels) + 1
    return [class_of({}, index, urn) for index in range(count)]


def class_at(package: ClassList, index: int) -> ClassInfo:
    """Give the class of an index of a label plane, UNKNOWN too."""
    if index == UNKNOWN:
        return UNKNOWN_CLASS
    return class_of({info.index: info for info in package.classes}, index, kind_of(package.task).class_urn)


def measure(package: ClassList, segmentation: Segmentation, min_confidence: float) -> list[Cover]:
    """Count every class of the archive, and unknown last where there is a floor."""
    classes = complete_classes(package, segmentation)
    return measure_cover(segmentation, [*classes, UNKNOWN_CLASS] if min_confidence > 0 else classes)


def measure_cover(segmentation: Segmentation, classes: Sequence[ClassInfo]) -> list[Cover]:
    """Count every class, in the order given.

    `cover` is pixels / all pixels, so the covers sum to 1. `confidence` is the mean over the
    class's pixels in 0..1, None without scores or pixels.
    """
    labels, confidence = segmentation.labels.ravel(), segmentation.confidence
    counts = np.zeros(256, np.int64)
    sums = None if confidence is None else np.zeros(256, np.float64)
    for start in range(0, labels.size, BLOCK):
        block = labels[start : start + BLOCK]
        counts += np.bincount(block, minlength=256)
        if sums is not None and confidence is not None:
            weights = confidence.ravel()[start : start + BLOCK]
            sums += np.bincount(block, weights=weights, minlength=256)
    return [_cover(info, int(counts[info.index]), labels.size, sums) for info in classes]


def mean_confidence(segmentation: Segmentation) -> float | None:
    """Mean confidence over all pixels in 0..1, None without scores."""
    if segmentation.confidence is None:
        return None
    return float(segmentation.confidence.mean(dtype=np.float64))


def _highest(labels: NDArray[np.uint8]) -> int:
    """Highest class seen; counted in blocks, as a mosaic's labels are larger than memory."""
    flat = labels.ravel()
    blocks = (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))
    return max(int(block[block != UNKNOWN].max(initial=0)) for block in blocks)


def _cover(info: ClassInfo, pixels: int, total: int, sums: NDArray[np.float64] | None) -> Cover:
    mean = float(sums[info.index]) / pixels if sums is not None and pixels else None
    return Cover(info.index, info.id, info.name, info.color, pixels, pixels / total, mean)
