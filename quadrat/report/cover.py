"""Exact pixel counts per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from quadrat.package.classes import class_of
from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.task_kinds import kind_of
from quadrat.types import ClassInfo, Cover

BLOCK = 1 << 20
"""Pixels counted at a time; np.bincount needs 16 bytes for each."""

UNKNOWN_CLASS = ClassInfo(UNKNOWN, "urn:ibenthos:segmentation:class:unknown", "unknown", (128, 128, 128))
"""The class of pixels below min-confidence; listed only if min-confidence is above 0."""


class ClassList(Protocol):
    """Anything that lists the classes of a model, such as its package or its facts."""

    @property
    def task(self) -> str:
        """The name of the model's task."""

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes in index order; empty if the archive lists none."""

    @property
    def num_classes(self) -> int | None:
        """The number of classes of the network; None if it is unknown."""


def complete_classes(package: ClassList, segmentation: Segmentation) -> list[ClassInfo]:
    """Return the archive's classes or, if it lists none, a class for every index known or seen."""
    if package.classes:
        return list(package.classes)
    urn = kind_of(package.task).class_urn
    if segmentation.members is not None:
        return [class_of({}, index, urn) for index in range(segmentation.members.shape[2])]
    count = package.num_classes or _highest(segmentation.labels) + 1
    return [class_of({}, index, urn) for index in range(count)]


def class_at(package: ClassList, index: int) -> ClassInfo:
    """Return the class of a label; UNKNOWN has one too."""
    if index == UNKNOWN:
        return UNKNOWN_CLASS
    return class_of({info.index: info for info in package.classes}, index, kind_of(package.task).class_urn)


def measure(package: ClassList, segmentation: Segmentation, min_confidence: float) -> list[Cover]:
    """Measure the cover of every class of the archive, and of unknown last if `min_confidence` is above 0."""
    classes = complete_classes(package, segmentation)
    return measure_cover(segmentation, [*classes, UNKNOWN_CLASS] if min_confidence > 0 else classes)


NO_CLASS = ClassInfo(UNKNOWN, "urn:ibenthos:segmentation:class:none", "no class", (128, 128, 128))
"""The pixels that belong to no class of a model with several classes per pixel; for legends."""


def measure_cover(segmentation: Segmentation, classes: Sequence[ClassInfo]) -> list[Cover]:
    """Measure the cover of each class, in the order given.

    `cover` is the class's pixels divided by all pixels, so the covers sum to 1, except with several classes per pixel:
    each class then has a mask of its own, and masks may overlap. `confidence` is the mean over the class's pixels in
    0..1; None without scores or pixels.
    """
    if segmentation.members is not None:
        return [_member_cover(info, segmentation.members) for info in classes]
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


def _member_cover(info: ClassInfo, members: NDArray[np.float16]) -> Cover:
    """Measure one class of masks (H, W, K) that may overlap."""
    pixels, total, step = 0, 0.0, max(1, BLOCK // members.shape[1])
    for top in range(0, members.shape[0], step):
        plane = members[top : top + step, :, info.index]
        pixels += int(np.count_nonzero(plane))
        total += float(plane.sum(dtype=np.float64))
    area = members.shape[0] * members.shape[1]
    mean = total / pixels if pixels else None
    return Cover(info.index, info.id, info.name, info.color, pixels, pixels / area, mean)


def no_class(segmentation: Segmentation) -> Cover:
    """Measure the pixels without a class, for a model with several classes per pixel."""
    flat = segmentation.labels.ravel()
    pixels = sum(
        int(np.count_nonzero(flat[start : start + BLOCK] == UNKNOWN)) for start in range(0, flat.size, BLOCK)
    )
    info = NO_CLASS
    return Cover(info.index, info.id, info.name, info.color, pixels, pixels / flat.size)


def mean_confidence(segmentation: Segmentation) -> float | None:
    """Compute the mean confidence over all pixels in 0..1; None without scores."""
    if segmentation.confidence is None:
        return None
    return float(segmentation.confidence.mean(dtype=np.float64))


def _highest(labels: NDArray[np.uint8]) -> int:
    """Find the highest class seen, in blocks, because a mosaic's labels may not fit in memory."""
    flat = labels.ravel()
    blocks = (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))
    return max(int(block[block != UNKNOWN].max(initial=0)) for block in blocks)


def _cover(info: ClassInfo, pixels: int, total: int, sums: NDArray[np.float64] | None) -> Cover:
    mean = float(sums[info.index]) / pixels if sums is not None and pixels else None
    return Cover(info.index, info.id, info.name, info.color, pixels, pixels / total, mean)
