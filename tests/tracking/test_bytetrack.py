"""ByteTrack: clear objects first, then faint ones."""

from __future__ import annotations

import pytest

from quadrat.tracking.bytetrack import CLEAR_SCORE, FAINT_SCORE
from tests.tracking.scenes import LEFT, RIGHT, boxes, detections, straight, tracker, tracks_of


@pytest.mark.parametrize(
    ("score", "same"),
    [(0.9, True), (0.3, True), (0.21, True), (FAINT_SCORE, True), (FAINT_SCORE - 0.01, False)],
)
def test_a_track_continues_with_a_faint_object(score, same):
    """A track takes an object that is too faint to start one, but none below FAINT_SCORE."""
    made, frames = tracker("bytetrack"), straight(6)
    tracks_of(made, frames[:5])
    faint = detections(frames[5].boxes.tolist(), score)
    assert tracks_of(made, [faint]) == [[1 if same else -1]]


@pytest.mark.parametrize("min_score", [0.25, 0.7])
@pytest.mark.parametrize(("above", "starts"), [(0.01, True), (0.0, True), (-0.01, False)])
def test_a_track_starts_from_min_score_on(min_score, above, starts):
    """Objects below min-score never start a track, however often they are seen."""
    frames = [boxes(LEFT, score=min_score + above)] * 5
    assert tracks_of(tracker("bytetrack", min_score=min_score), frames)[-1] == [1 if starts else -1]


@pytest.mark.parametrize(("shift", "score", "min_score"), [(6, 0.2, 0.25), (6, 0.6, 0.7), (25, 0.2, 0.25)])
def test_clear_objects_choose_first(shift, score, min_score):
    """A faint box that fits better does not take the track of a clear one, even if only isolation explains that."""
    made = tracker("bytetrack", min_score=min_score)
    tracks_of(made, [boxes(LEFT)] * 10)
    x, y = LEFT
    frame = detections([(x - shift, y, x + 40 + shift, y + 40), (x, y, x + 40, y + 40)], (0.9, score))
    assert tracks_of(made, [frame]) == [[1, -1]]


@pytest.mark.parametrize(("below", "taken"), [(0.0, [-1, 1]), (0.01, [1, -1])])
def test_the_first_stage_is_for_clear_objects(below, taken):
    """From CLEAR_SCORE on, the better fit wins; below it, the clear object wins."""
    made = tracker("bytetrack")
    tracks_of(made, [boxes(LEFT)] * 10)
    assert tracks_of(made, [boxes((105, 100), LEFT, score=(0.9, CLEAR_SCORE - below))]) == [taken]


@pytest.mark.parametrize(("usual", "starts"), [(0.9, False), (0.35, True)])
def test_a_network_with_low_scores_has_clear_objects(usual, starts):
    """What is faint for one network is clear for another: the median of the scores lowers the limit."""
    made = tracker("bytetrack")
    tracks_of(made, [boxes(LEFT, score=usual)] * 20)
    assert (tracks_of(made, [boxes(LEFT, RIGHT, score=(usual, 0.4))] * 2)[-1][1] > 0) == starts


def test_a_track_that_has_a_clear_object_takes_no_faint_one():
    """The second stage is for tracks that are left."""
    made = tracker("bytetrack")
    tracks_of(made, [boxes(LEFT)] * 5)
    for _ in range(3):
        assert tracks_of(made, [boxes(LEFT, (102, 100), (98, 100), score=(0.9, 0.2, 0.24))]) == [[1, -1, -1]]


def test_a_faint_object_must_overlap_and_be_of_the_class():
    """The second stage has the rules of the first."""
    made = tracker("bytetrack")
    tracks_of(made, [boxes(LEFT)] * 5)
    far, other = boxes((175, 100), score=0.2), boxes(LEFT, score=0.2, classes=1)
    assert tracks_of(made, [far, other, boxes(LEFT, score=0.2)]) == [[-1], [-1], [1]]
