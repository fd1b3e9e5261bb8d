"""SORT: motion and overlap."""

from __future__ import annotations

import pytest

from quadrat.tracking.sort import MIN_IOU
from tests.tracking.scenes import LEFT, NOTHING, boxes, straight, tracker, tracks_of


def test_a_track_does_not_take_a_box_that_motion_does_not_explain():
    """A box that overlaps with the predicted one, but has another size, starts a track of its own."""
    made = tracker("sort")
    tracks_of(made, [boxes(LEFT, side=40)] * 10)
    assert tracks_of(made, [boxes((90, 90), side=75)]) == [[-1]]


def test_the_sum_of_overlaps_is_greatest():
    """Each of two tracks gets the box nearer to it, even though either box overlaps with both."""
    made = tracker("sort")
    tracks_of(made, [boxes((100, 100), (120, 100))] * 5)
    assert tracks_of(made, [boxes((118, 100), (103, 100))]) == [[2, 1]]


@pytest.mark.parametrize(("shift", "same"), [(24, True), (30, False)])
def test_a_match_needs_min_iou(shift, same):
    """An object next to another one keeps its number down to an overlap of MIN_IOU with its predicted box."""
    overlap = (40 - shift) / (40 + shift)
    assert (overlap >= MIN_IOU) == same
    made = tracker("sort")
    tracks_of(made, [boxes(LEFT)] * 2)  # its velocity is still uncertain, so that the gate is wide
    after = tracks_of(made, [boxes((LEFT[0] + shift, LEFT[1]), (LEFT[0] - 39, LEFT[1]))])
    assert (after == [[1, -1]]) == same


def test_a_lost_object_is_not_searched_for_where_it_was_last_seen():
    """An object that stopped while it was hidden is a new one."""
    frames = [*straight(10, speed=(12, 0)), *[NOTHING] * 8, boxes((LEFT[0] + 9 * 12, LEFT[1]))]
    assert tracks_of(tracker("sort"), frames)[-1] == [-1]
