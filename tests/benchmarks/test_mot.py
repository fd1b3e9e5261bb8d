"""Real films for the comparison of trackers are read as MOTChallenge writes them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.mot import FAINTEST, Film, film, overlap

TRUTH = np.array(
    [
        [1, 7, 10, 20, 30, 40, 1, -1, -1, -1],
        [1, 8, 0, 0, 9, 9, 0, -1, -1, -1],
        [3, 7, 12, 20, 30, 40, 1, -1, -1, -1],
    ],
    np.float64,
)
FOUND = np.array(
    [[1, -1, 11, 20, 30, 40, 0.9], [2, -1, 11, 20, 30, 40, FAINTEST / 2], [4, -1, 0, 0, 5, 5, 0.5]],
    np.float64,
)


def made() -> Film:
    """Make a film of four frames."""
    return film("walk", TRUTH, FOUND)


def test_boxes_are_corners_and_rows_that_do_not_count_are_left_out() -> None:
    """The seventh column of the truth says what counts; the faintest objects are nobody's."""
    one = made()
    assert [frame.numbers.tolist() for frame in one.frames] == [[7], [], [7], []]
    assert one.frames[0].boxes.tolist() == [[10, 20, 40, 60]]
    assert [len(frame.detections) for frame in one.frames] == [1, 0, 0, 1]
    assert one.frames[0].detections.boxes.tolist() == [[11, 20, 41, 60]]


@pytest.mark.parametrize(
    ("stride", "once", "lengths"), [(1, True, [4]), (3, True, [2]), (3, False, [2, 2, 1, 1, 1, 1])]
)
def test_views_are_from_every_first_frame_and_in_both_directions(
    stride: int, once: bool, lengths: list[int]
) -> None:
    """Or only one of them."""
    views = list(made().views(stride, once))
    assert [len(view) for view in views] == lengths
    assert once or views[1] == views[0][::-1]


def test_overlaps_are_intersection_over_union() -> None:
    """Of every pair."""
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [50, 50, 60, 60]], np.float64)
    assert overlap(boxes, boxes[:2]) == pytest.approx(np.array([[1, 1 / 3], [1 / 3, 1], [0, 0]]))
