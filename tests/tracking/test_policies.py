"""What each tracker does that the others do not."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.tracking import kalman
from quadrat.tracking.bytetrack import FAINTEST
from quadrat.tracking.kalman import PLACE, PP, PS, SPEED, SS
from quadrat.types import Detections
from tests.tracking.scenes import LEFT, RIGHT, boxes, looks, straight, tracker, tracks_of

NOTHING = Detections.none()


def test_a_lost_track_does_not_take_what_its_motion_cannot_reach():
    """A box that the predicted one overlaps, but of another size than is due, begins a track of its own."""
    made = tracker("sort")
    tracks_of(made, [boxes(LEFT, side=40)] * 10)
    assert tracks_of(made, [boxes((90, 90), side=75)]) == [[-1]]


@pytest.mark.parametrize(
    ("score", "goes_on"), [(0.9, True), (0.3, True), (0.15, True), (FAINTEST / 2, False)]
)
def test_bytetrack_goes_on_with_faint_objects(score, goes_on):
    """A track takes an object that is too faint to begin one, not one that is next to nothing."""
    made, way = tracker("bytetrack"), straight(6)
    tracks_of(made, way[:5])
    faint = Detections(way[5].boxes, np.full(1, score, np.float32), way[5].classes)
    assert tracks_of(made, [faint]) == [[1 if goes_on else -1]]


@pytest.mark.parametrize(("score", "begins"), [(0.26, True), (0.24, False)])
def test_bytetrack_begins_at_min_score(score, begins):
    """Objects under min-score never become a track, however often they are seen."""
    made = tracks_of(tracker("bytetrack"), [boxes(LEFT, score=score)] * 5)
    assert made[-1] == [1 if begins else -1]


def test_bytetrack_gives_clear_objects_the_first_choice():
    """A faint box that fits better does not take the track from a clear one."""
    made = tracker("bytetrack")
    tracks_of(made, [boxes(LEFT)] * 5)
    both = boxes((106, 100), LEFT)
    both = Detections(both.boxes, np.array([0.9, 0.2], np.float32), both.classes)
    assert tracks_of(made, [both]) == [[1, -1]]


def test_ocsort_fills_a_gap_with_the_straight_way():
    """After a gap the filter is where it would be, had the object been seen on the straight way between."""
    made, seen = tracker("ocsort"), tracker("ocsort")
    before = straight(8, speed=(4, 0))
    last = before[-1].boxes[0, :2]
    turn = [boxes((last[0] + 4 * f, last[1] + 3 * f)) for f in range(1, 6)]
    tracks_of(seen, [*before, *turn])
    tracks_of(made, [*before, *[NOTHING] * 4, turn[-1]])
    assert made.tracks.numbers.tolist() == [1]
    assert np.allclose(made.tracks.state, seen.tracks.state)


def test_ocsort_goes_back_to_where_a_track_was_last_seen():
    """An object that stopped while it was hidden is found where it was, far from where it would be by its speed."""
    frames = [*straight(10, speed=(12, 0)), *[NOTHING] * 8]
    back = boxes((LEFT[0] + 9 * 12, LEFT[1]))
    assert tracks_of(tracker("ocsort"), [*frames, back])[-1] == [1]
    assert tracks_of(tracker("sort"), [*frames, back])[-1] == [-1]


def test_ocsort_prefers_the_way_a_track_went():
    """Of two boxes that overlap alike, the one ahead is taken, not the one aside."""
    made = tracker("ocsort")
    tracks_of(made, straight(8, speed=(3, 0)))
    corner = (made.tracks.boxes[0] + made.tracks.state[0, SPEED])[:2]
    assert tracks_of(made, [boxes((corner[0], corner[1] + 6), (corner[0] + 6, corner[1]))]) == [[-1, 1]]


def test_deepsort_tells_two_apart_that_change_places():
    """Where both are in reach of both, the look decides; motion alone takes the nearer one."""
    before, after = boxes((100, 100), (112, 100)), boxes((112, 100), (100, 100))
    by_look, by_motion = tracker("deepsort"), tracker("deepsort")
    for _ in range(5):
        by_look.update(before, looks(0, 1))
        by_motion.update(before)
    assert by_look.update(after, looks(0, 1)).tracks.tolist() == [1, 2]
    assert by_motion.update(after).tracks.tolist() == [2, 1]


@pytest.mark.parametrize(("kind", "number"), [(0, 1), (1, -1)])
def test_deepsort_finds_a_known_look_without_overlap(kind, number):
    """An object that came away further than its speed tells is known by its look; a stranger is not."""
    made = tracker("deepsort")
    for _ in range(5):
        made.update(boxes(LEFT), looks(0))
    for _ in range(5):
        made.update(NOTHING, looks())
    assert made.update(boxes((LEFT[0] + 60, LEFT[1])), looks(kind)).tracks.tolist() == [number]


def test_deepsort_does_not_trust_a_look_that_all_have():
    """Where two tracks look the same, a look without overlap decides nothing."""
    made = tracker("deepsort")
    for _ in range(5):
        made.update(boxes(LEFT, (LEFT[0] + 130, LEFT[1])), looks(0, 0))
    for _ in range(5):
        made.update(NOTHING, looks())
    assert made.update(boxes((LEFT[0] + 65, LEFT[1])), looks(0)).tracks.tolist() == [-1]


def test_deepsort_refuses_a_stranger_in_the_same_place():
    """A box in the right place with nothing of the track's look is another object."""
    made = tracker("deepsort")
    for _ in range(5):
        made.update(boxes(LEFT, RIGHT), looks(0, 1))
    assert made.update(boxes(LEFT, RIGHT), looks(2, 1)).tracks.tolist() == [-1, 2]


def test_deepsort_bears_frames_without_looks():
    """Tracks that began without a look get one later, and go on by motion where there is none."""
    made = tracker("deepsort")
    way = straight(6)
    given_looks = [None, None, looks(0), looks(0), None, looks(0)]
    found = [made.update(frame, look).tracks.tolist() for frame, look in zip(way, given_looks, strict=True)]
    assert found == [[-1], [1], [1], [1], [1], [1]]
    made.update(boxes(way[5].boxes[0, :2], RIGHT), looks(0, 1))
    assert np.allclose(made.tracks.looks, looks(0, 1))


def test_the_filter_of_every_track_is_possible_after_a_replay():
    """A replay over different gaps in one frame leaves sound covariances."""
    made = tracker("ocsort")
    first, second = straight(12, LEFT), straight(12, RIGHT)
    for frame, (one, two) in enumerate(zip(first, second, strict=True)):
        both = boxes(one.boxes[0, :2], two.boxes[0, :2])
        made.update(both[np.array([frame not in (6, 7, 8), frame != 8])])
    state = made.tracks.state
    assert made.tracks.numbers.tolist() == [1, 2]
    assert (state[:, PS] ** 2 <= state[:, PP] * state[:, SS]).all()
    assert np.allclose(kalman.sides(state[:, PLACE]), 40, atol=1)
    assert kalman.SMALLEST_SIDE == 1
