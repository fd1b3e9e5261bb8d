"""OC-SORT: observations count for more than predictions."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.tracking.kalman import CROSS_COV, POSITION, POSITION_VAR, VELOCITY, VELOCITY_VAR
from quadrat.tracking.motion import Motion
from tests.tracking.scenes import LEFT, NOTHING, RIGHT, boxes, straight, tracker, tracks_of


@pytest.fixture
def known_motion(monkeypatch):
    """Keep the estimate of the motion at what is expected, so that two trackers filter alike."""
    monkeypatch.setattr(Motion, "add", lambda *_: None)


@pytest.mark.usefixtures("known_motion")
def test_a_gap_is_replayed_along_a_straight_line():
    """After a gap the filter is in the state it would have had with observations on the straight line between."""
    made, seen = tracker("ocsort"), tracker("ocsort")
    before = straight(8, speed=(4, 0))
    last = before[-1].boxes[0, :2]
    turn = [boxes((last[0] + 4 * f, last[1] + 3 * f)) for f in range(1, 6)]
    tracks_of(seen, [*before, *turn])
    tracks_of(made, [*before, *[NOTHING] * 4, turn[-1]])
    assert made.tracks.numbers.tolist() == [1]
    assert np.allclose(made.tracks.state, seen.tracks.state)


@pytest.mark.usefixtures("known_motion")
def test_gaps_of_different_lengths_are_replayed_in_one_frame():
    """Two tracks that are found again in one frame after 1 and 4 steps are as if each had been alone."""
    made, alone = tracker("ocsort"), [tracker("ocsort"), tracker("ocsort")]
    frames = [straight(13, LEFT), straight(13, RIGHT, speed=(-3, 5))]
    for f in range(13):
        there = [f not in (8, 9, 10, 11), f != 11]
        corners = [tuple(one[f].boxes[0, :2]) for one, seen in zip(frames, there, strict=True) if seen]
        made.update(boxes(*corners))
        for single, one, seen in zip(alone, frames, there, strict=True):
            single.update(one[f] if seen else NOTHING)
    assert made.tracks.numbers.tolist() == [1, 2]
    for row, single in enumerate(alone):
        assert np.allclose(made.tracks.state[row], single.tracks.state[0])
    state = made.tracks.state
    assert (state[:, CROSS_COV] ** 2 <= state[:, POSITION_VAR] * state[:, VELOCITY_VAR]).all()
    assert np.allclose(state[:, POSITION, 2:], 40, atol=1)


@pytest.mark.usefixtures("known_motion")
def test_the_replay_starts_at_the_state_of_the_last_observation():
    """The replay forgets the predictions of the gap, and the second gap starts at the first one's end."""
    made, seen = tracker("ocsort"), tracker("ocsort")
    way = straight(20, speed=(4, 1))
    tracks_of(seen, way)
    tracks_of(made, [frame if n not in (8, 9, 10, 15, 16) else NOTHING for n, frame in enumerate(way)])
    assert np.allclose(made.tracks.state, seen.tracks.state)


@pytest.mark.parametrize(("shift", "found"), [(0, True), (13, True), (14, False)])
def test_a_track_is_searched_for_where_it_was_last_seen(shift, found):
    """An object that stopped while it was hidden is found by an overlap of one half with its last observed box."""
    frames = [*straight(10, speed=(12, 0)), *[NOTHING] * 8]
    back = boxes((LEFT[0] + 9 * 12, LEFT[1] + shift))
    assert tracks_of(tracker("ocsort"), [*frames, back])[-1] == [1 if found else -1]


def test_where_it_was_last_seen_only_its_class_is_found():
    """The second stage keeps classes apart."""
    frames = [*straight(10, speed=(12, 0)), *[NOTHING] * 8]
    made, corner = tracker("ocsort"), (LEFT[0] + 9 * 12, LEFT[1])
    assert tracks_of(made, [*frames, boxes(corner, classes=1), boxes(corner)])[-2:] == [[-1], [1]]


@pytest.mark.parametrize("turn", [False, True])
def test_a_track_prefers_its_direction(turn):
    """Of two boxes with equal overlap, it takes the one ahead, not the one beside; so on both axes."""
    made = tracker("ocsort")
    frames = straight(8, speed=(0, 3) if turn else (3, 0))
    tracks_of(made, frames)
    x, y = (made.tracks.boxes[0] + made.tracks.state[0, VELOCITY])[:2].tolist()
    below, right = (x, y + 6), (x + 6, y)
    assert tracks_of(made, [boxes(below, right)]) == [[1, -1] if turn else [-1, 1]]


@pytest.mark.parametrize(("score", "taken"), [(0.9, [-1, 1]), (0.2, [1, -1])])
def test_direction_counts_by_the_score(score, taken):
    """A box ahead outweighs a somewhat better overlap beside the track, unless its score is low."""
    made = tracker("ocsort")
    tracks_of(made, straight(8, speed=(3, 0)))
    x, y = (made.tracks.boxes[0] + made.tracks.state[0, VELOCITY])[:2].tolist()
    assert tracks_of(made, [boxes((x, y + 5), (x + 6, y), score=(0.2, score))]) == [taken]


@pytest.mark.parametrize(("speed", "taken"), [(0.75, [-1, 1]), (0.6, [1, -1])])
def test_a_track_at_rest_has_no_direction(speed, taken):
    """A displacement in the last frames below a twentieth of the size says nothing."""
    made = tracker("ocsort")
    tracks_of(made, straight(12, speed=(speed, 0)))
    x, y = (made.tracks.boxes[0] + made.tracks.state[0, VELOCITY])[:2].tolist()
    assert tracks_of(made, [boxes((x, y + 5), (x + 6, y))]) == [taken]


def test_direction_is_that_of_the_last_boxes():
    """After a turn, what was before the last four boxes does not count."""
    made = tracker("ocsort")
    corner = straight(8, speed=(0, 3))[-1].boxes[0, :2]
    tracks_of(made, [*straight(8, speed=(0, 3)), *straight(10, (corner[0] + 3, corner[1]), speed=(3, 0))])
    x, y = (made.tracks.boxes[0] + made.tracks.state[0, VELOCITY])[:2].tolist()
    assert tracks_of(made, [boxes((x, y + 6), (x + 6, y))]) == [[-1, 1]]


@pytest.mark.parametrize(("aside", "taken"), [(5.4, [-1, 1]), (4.8, [1, -1])])
def test_direction_is_linear_in_the_angle(aside, taken):
    """A box at about 24 degrees loses a quarter of the bonus, which is a tenth of the score."""
    made = tracker("ocsort")
    tracks_of(made, straight(8, speed=(3, 0)))
    x, y = (made.tracks.boxes[0] + made.tracks.state[0, VELOCITY])[:2].tolist()
    assert tracks_of(made, [boxes((x, y + aside), (x + 6, y))]) == [taken]


@pytest.mark.parametrize(("shift", "number"), [(39, 1), (45, -1)])
def test_a_match_needs_an_overlap_of_a_fifth(shift, number):
    """Beside another object, enlarged boxes that overlap by 0.24 continue a young track, by 0.18 they do not."""
    made = tracker("ocsort")
    tracks_of(made, [boxes(LEFT)] * 2)
    after = tracks_of(made, [boxes((LEFT[0] + shift, LEFT[1]), (LEFT[0] - 60, LEFT[1]))])
    assert after[0][0] == number
