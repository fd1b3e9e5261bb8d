"""Counts are exact, whole, and name what they count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.report import cover
from quadrat.report.cover import UNKNOWN_CLASS, complete_classes, mean_confidence, measure, measure_cover
from quadrat.types import ClassInfo, ModelPackage

CLASSES = [ClassInfo(i, f"urn:{i}", f"c{i}", (i, i, i)) for i in range(4)]
PLANES = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.sampled_from([0, 1, 2, 3, 255])
)


@given(PLANES)
def test_covers_sum_to_one_and_pixels_to_all(labels: np.ndarray) -> None:
    """Every pixel is counted once."""
    covers = measure_cover(Segmentation(labels), [*CLASSES, UNKNOWN_CLASS])

    assert labels.size == sum(c.pixels for c in covers)
    assert abs(1 - sum(c.cover for c in covers)) < 1e-12
    assert [int((labels == c.index).sum()) for c in covers] == [c.pixels for c in covers]


def test_mean_confidence_is_per_class() -> None:
    """Each class has the mean over its own pixels, the image over all; an absent class has none."""
    confidence = np.array([[1.0, 0.5, 0.25, 0.25]], np.float16)
    segmentation = Segmentation(np.array([[0, 0, 1, 1]], np.uint8), confidence)
    covers = measure_cover(segmentation, CLASSES)

    assert [0.75, 0.25, None, None] == [c.confidence for c in covers]
    assert mean_confidence(segmentation) == 0.5


def test_without_scores_there_is_no_confidence() -> None:
    """An argmax-only archive gives covers and says that it has no confidence."""
    segmentation = Segmentation(np.zeros((2, 2), np.uint8))

    assert mean_confidence(segmentation) is None
    assert {None} == {c.confidence for c in measure_cover(segmentation, CLASSES)}


def package(classes: tuple[ClassInfo, ...], count: int | None) -> ModelPackage:
    """Make a package with these classes."""
    return ModelPackage(Path(), "m", "", "segment", {}, None, (), classes, count, ())


def test_classes_that_the_archive_does_not_list_are_counted_by_number() -> None:
    """Missing or empty classes give covers all the same (the original crashed, or gave none)."""
    segmentation = Segmentation(np.array([[0, 2, UNKNOWN]], np.uint8))

    assert ["class 0", "class 1", "class 2"] == [
        c.name for c in complete_classes(package((), None), segmentation)
    ]
    assert len(complete_classes(package((), 5), segmentation)) == 5
    assert CLASSES == complete_classes(package(tuple(CLASSES), 4), segmentation)


def test_large_masks_are_counted_in_blocks() -> None:
    """A mask of several blocks is counted as one."""
    labels = np.arange(3_000_001, dtype=np.int64).astype(np.uint8) % 4
    covers = measure_cover(Segmentation(labels[None], np.full((1, labels.size), 0.5, np.float16)), CLASSES)

    assert [int((labels == i).sum()) for i in range(4)] == [c.pixels for c in covers]
    assert {0.5} == {c.confidence for c in covers}


def test_unknown_is_listed_only_under_a_floor() -> None:
    """Without a floor nothing can be unknown."""
    segmentation = Segmentation(np.array([[0, UNKNOWN]], np.uint8))
    archive = package(tuple(CLASSES), 4)

    assert ["c0", "c1", "c2", "c3"] == [c.name for c in measure(archive, segmentation, 0.0)]
    assert "unknown" == measure(archive, segmentation, 0.5)[-1].name


def test_unlisted_classes_are_seen_in_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest class may stand in the last block of a mask; a mask that is all unknown has one class."""
    monkeypatch.setattr(cover, "BLOCK", 4)
    labels = np.array([[0, 1, UNKNOWN, 0, UNKNOWN, 0, 0, 0, 1, 3]], np.uint8)
    assert len(complete_classes(package((), None), Segmentation(labels))) == 4
    assert len(complete_classes(package((), None), Segmentation(np.full((2, 5), UNKNOWN, np.uint8)))) == 1
