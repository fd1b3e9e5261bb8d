"""Non-maximum suppression keeps the boxes that the plain definition keeps."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.tasks.detect import nms as module
from quadrat.tasks.detect.nms import nms
from tests.waiting import repeated

Some = tuple[np.ndarray, np.ndarray, np.ndarray]
MANY = 10**6


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Return the IoU of two boxes by its definition."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0.0) * max(high, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if shared > 0 else 0.0


def plain(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, threshold: float) -> list[int]:
    """Apply the definition, box against box."""
    kept: list[int] = []
    wide = boxes.astype(np.float64)
    for index in sorted(range(len(scores)), key=lambda i: (-float(scores[i]), i)):
        rivals = (k for k in kept if classes[k] == classes[index])
        overlaps = [iou(wide[k], wide[index]) for k in rivals]
        if not any(value > 0 and value >= threshold for value in overlaps):
            kept.append(index)
    return kept


@st.composite
def crowds(draw: st.DrawFn) -> Some:
    """Boxes that often overlap and tie: on a coarse grid, with few scores and classes."""
    count = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    step = draw(st.sampled_from([1.0, 8.0]))
    corners = np.round(rng.uniform(0, 40, (count, 2)) / step) * step
    sides = np.maximum(step, np.round(rng.uniform(0, 30, (count, 2)) / step) * step)
    boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    scores = rng.integers(0, draw(st.sampled_from([3, 1000])), count).astype(np.float32) / 1000
    return boxes, scores, rng.integers(0, draw(st.integers(1, 4)), count)


@given(crowds(), st.sampled_from([0.3, 0.5, 0.70001, 1.0, 0.0]))
def test_what_stays_is_what_the_definition_says(crowd: Some, threshold: float) -> None:
    """The same indices in the same order as box against box, ties by index."""
    assert plain(*crowd, threshold) == nms(*crowd, threshold, MANY).tolist()


@given(crowds(), st.integers(1, 10))
def test_chunks_and_limits_change_nothing(crowd: Some, limit: int) -> None:
    """Chunks of three boxes give the same result as one chunk; a limit keeps the first ones."""
    whole = nms(*crowd, 0.5, MANY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 3)
        np.testing.assert_array_equal(whole, nms(*crowd, 0.5, MANY))
    np.testing.assert_array_equal(whole[:limit], nms(*crowd, 0.5, limit))


@given(crowds())
def test_what_stays_stays(crowd: Some) -> None:
    """NMS of the boxes that NMS kept keeps all of them."""
    boxes, scores, classes = crowd
    kept = nms(*crowd, 0.5, MANY)

    assert list(range(len(kept))) == nms(boxes[kept], scores[kept], classes[kept], 0.5, MANY).tolist()


@given(crowds())
def test_classes_do_not_touch_one_another(crowd: Some) -> None:
    """All classes at once is each class by itself."""
    boxes, scores, classes = crowd
    alone: set[int] = set()
    for each in np.unique(classes):
        mine = np.flatnonzero(classes == each)
        alone |= set(mine[nms(boxes[mine], scores[mine], classes[mine], 0.5, MANY)].tolist())

    assert alone == set(nms(*crowd, 0.5, MANY).tolist())


def test_fp16_and_class_offsets_do_not_give_wrong_suppression() -> None:
    """A fault of other libraries: boxes shifted by 7680 pixels per class lose precision in float16.

    Here classes 1, 3 and 7 decide as class 0 does, though the network gave float16.
    """
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 600, (400, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(4, 60, (400, 2))], axis=1).astype(np.float16)
    boxes = np.concatenate([boxes, boxes + rng.uniform(-6, 6, boxes.shape).astype(np.float16)])
    scores = rng.permutation(800).astype(np.float16) / np.float16(1000)
    first = nms(boxes, scores, np.zeros(800, int), 0.3, MANY)
    for index in (1, 3, 7):
        np.testing.assert_array_equal(first, nms(boxes, scores, np.full(800, index), 0.3, MANY))
        moved = (boxes + np.float16(7680 * index)).astype(np.float64)
        theirs = plain(moved, scores, np.zeros(800, int), 0.3)
        assert set(theirs) != set(first.tolist())


def test_equal_scores_go_by_index() -> None:
    """Of equal boxes with equal scores, the first is kept."""
    boxes = np.array([[0, 0, 9, 9]] * 5, np.float32)

    assert [0] == nms(boxes, np.full(5, 0.5, np.float32), np.zeros(5, int), 0.5, MANY).tolist()


@pytest.mark.parametrize(("threshold", "kept"), [(0.5, [0, 2]), (0.50001, [0, 1, 2]), (0.0, [0, 2])])
def test_the_threshold_itself_is_too_much(threshold: float, kept: list[int]) -> None:
    """An IoU of exactly the threshold drops the weaker box; boxes apart stay even at 0."""
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]], np.float32)

    assert kept == nms(boxes, np.array([0.9, 0.8, 0.7]), np.zeros(3, int), threshold, MANY).tolist()


@pytest.mark.parametrize("classes", [1, 80])
@repeated
def test_anchors_of_a_whole_network_take_little_time(classes: int) -> None:
    """8400 anchors around 60 objects, all above the threshold."""
    rng = np.random.default_rng(0)
    corners = np.repeat(rng.uniform(0, 560, (60, 2)), 140, axis=0) + rng.normal(0, 3, (8400, 2))
    boxes = np.concatenate([corners, corners + 60], axis=1).astype(np.float32)
    scores, labels = rng.uniform(0, 1, 8400).astype(np.float32), rng.integers(0, classes, 8400)
    begin = perf_counter()
    kept = nms(boxes, scores, labels, 0.5, 1000)

    assert len(kept) >= 30
    assert perf_counter() - begin < 2


def test_areas_beyond_float16_are_computed_wide() -> None:
    """300 x 300 is more than float16 holds; the boxes still overlap by 29 of 30."""
    boxes = np.array([[0, 0, 300, 300], [0, 0, 300, 290]], np.float16)

    assert [0] == nms(boxes, np.array([0.9, 0.8]), np.zeros(2, int), 0.5, MANY).tolist()
