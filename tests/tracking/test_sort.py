"""SORT: motion and overlap."""

from __future__ import annotations

import pytest

from tests.tracking.scenes import LEFT, NOTHING, boxes, straight, tracker, tracks_of


def test_the_sum_of_overlaps_is_greatest():
    """Each of two tracks gets the box nearer to it, even though either box overlaps with both."""
    made = tracker("sort")
    tracks_of(made, [boxes((100, 100), (120, 100))] * 5)
    assert tracks_of(made, [boxes((118, 100), (103, 100))]) == [[2, 1]]


@pytest.mark.parametrize(("shift", "same"), [(42, True), (43, False)])
def test_a_match_needs_a_fifth_of_overlap(shift, same):
    """An object beside another one keeps its number down to an overlap of 0.2 of the enlarged boxes."""
    side = 40 * 1.6
    assert ((side - shift) / (side + shift) >= 0.2) == same
    made = tracker("sort")
    tracks_of(made, [boxes(LEFT)] * 2)
    after = tracks_of(made, [boxes((LEFT[0] + shift, LEFT[1]), (LEFT[0] - 65, LEFT[1]))])
    assert (after == [[1, -1]]) == same


def test_a_lost_object_is_not_searched_for_where_it_was_last_seen():
    """An object that stopped while it was hidden is a new one."""
    frames = [*straight(10, speed=(12, 0)), *[NOTHING] * 8, boxes((LEFT[0] + 9 * 12, LEFT[1]))]
    assert tracks_of(tracker("sort"), frames)[-1] == [-1]
