"""Classes smoothed over time."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.parameters import TrackingSettings
from quadrat.predictions import Detections
from quadrat.tracking.smoothing import Smoother

METHODS = pytest.mark.parametrize("method", ["mode", "median", "score"])


def smoother(
    method: str = "mode", frames: int = 5, seconds: float = 0.0, classes: int | None = None
) -> Smoother:
    """Make a smoother."""
    settings = TrackingSettings(smooth_labels=method, smooth_frames=frames, smooth_seconds=seconds)
    return Smoother(settings, classes)


def seen(*rows: tuple[int, int, float]) -> Detections:
    """Make detections of (track, class, score)."""
    tracks, classes, scores = zip(*rows, strict=True) if rows else ((), (), ())
    return Detections(
        np.zeros((len(rows), 4), np.float32), np.array(scores, np.float32), np.array(classes, np.int32),
        np.array(tracks, np.int32),
    )  # fmt: skip


def classes_of(
    made: Smoother, labels: list[int], scores: list[float] | None = None, rate: float = 10
) -> list[int]:
    """Smooth the labels of one track; return the class of each frame."""
    given_scores = scores or [0.5] * len(labels)
    return [
        int(made.update(seen((1, label, score)), frame / rate).classes[0])
        for frame, (label, score) in enumerate(zip(labels, given_scores, strict=True))
    ]


@METHODS
def test_the_first_frame_has_its_own_class(method):
    """A track has a class from its first frame on; some libraries give -1 until the window is full."""
    assert classes_of(smoother(method), [3]) == [3]


@METHODS
@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_the_class_is_one_of_the_window(method, labels):
    """Only a class of the last smooth-frames frames comes out."""
    for frame, label in enumerate(classes_of(smoother(method), labels)):
        assert label in labels[max(0, frame - 4) : frame + 1]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_mode_is_the_most_frequent(labels):
    """The most frequent class of the window wins; a tie goes to the present class, otherwise to the latest."""
    for frame, label in enumerate(classes_of(smoother("mode"), labels)):
        window = labels[max(0, frame - 4) : frame + 1]
        counts = Counter(window)
        tied = [c for c in counts if counts[c] == max(counts.values())]
        latest = next(c for c in reversed(window) if c in tied)
        assert label == latest


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_median_is_in_the_middle(labels):
    """At most half of the window is below the median, and at most half above."""
    for frame, label in enumerate(classes_of(smoother("median"), labels)):
        window = labels[max(0, frame - 4) : frame + 1]
        assert sum(c < label for c in window) <= len(window) / 2
        assert sum(c > label for c in window) <= len(window) / 2


def test_scores_are_weights():
    """One certain vote outweighs three doubtful ones until it leaves the window."""
    labels, scores = [1, 2, 2, 2, 2, 2], [0.95, 0.3, 0.3, 0.3, 0.3, 0.3]
    assert classes_of(smoother("score", frames=4), labels, scores) == [1, 1, 1, 1, 2, 2]


def test_a_flicker_is_removed():
    """A single frame of another class changes nothing."""
    assert classes_of(smoother("mode"), [0, 0, 0, 1, 0, 0, 2, 0]) == [0] * 8


def test_a_tie_goes_to_the_present_class():
    """A tie goes to the present class; if it is not among the best, to the best class seen last."""
    assert classes_of(smoother("mode", frames=4), [0, 0, 1, 1]) == [0, 0, 0, 1]
    assert classes_of(smoother("mode", frames=5), [0, 1, 0, 1, 2])[-1] == 1


def test_seconds_are_media_time():
    """Votes older than smooth-seconds do not count, whatever the number of frames."""
    made = smoother("mode", frames=1000, seconds=0.5)
    assert classes_of(made, [0] * 20, rate=10)[-1] == 0
    assert [int(made.update(seen((1, 1, 0.5)), 1.9 + 0.1 * f).classes[0]) for f in range(1, 5)] == [
        0,
        0,
        1,
        1,
    ]
    assert int(made.update(seen((1, 2, 0.5)), 60.0).classes[0]) == 2


def test_votes_survive_a_clock_that_restarts():
    """If the time of a stream jumps back, smoothing continues."""
    made = smoother("mode", seconds=1.0)
    for _ in range(5):
        made.update(seen((1, 4, 0.5)), 100.0)
    assert made.update(seen((1, 3, 0.5)), 0.0).classes.tolist() == [4]


def test_tracks_vote_separately():
    """Each track has its own votes; a row without a track keeps its class; the input is not modified."""
    made = smoother("mode")
    for _ in range(3):
        made.update(seen((1, 0, 0.5), (2, 1, 0.5)), 0.0)
    given_rows = seen((2, 0, 0.5), (-1, 7, 0.5), (1, 1, 0.5))
    found = made.update(given_rows, 0.0)
    assert found.classes.tolist() == [1, 7, 0]
    assert given_rows.classes.tolist() == [0, 7, 1]
    assert found.tracks is given_rows.tracks


@pytest.mark.parametrize("made", [smoother("none"), smoother("mode", classes=1)])
def test_without_anything_to_smooth_detections_pass(made):
    """Detections pass unchanged without a method, with a single class, and without tracks."""
    rows = seen((1, 0, 0.5))
    assert made.update(rows, 0.0) is rows
    assert smoother().update(rows_without_tracks := Detections.none(), 0.0) is rows_without_tracks


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_memory_is_flat(seconds):
    """A smoother keeps only the tracks of its window, and of a long track only the window."""
    made, sizes = smoother("mode", frames=5, seconds=seconds), []
    first = len(pickle.dumps(smoother("mode", frames=5, seconds=seconds)))
    for frame in range(300, 600):
        made.update(seen((1, frame % 3, 0.5), (1000 + frame, 0, 0.5)), frame / 10)
        sizes.append(len(pickle.dumps(made)))
    assert max(sizes[100:]) <= max(sizes[:100]) + 16  # a few bytes, because larger integers take more of them
    for frame in range(600, 604 if seconds else 605):  # until the last vote is just outside the window
        made.update(seen(), frame / 10)
    assert len(pickle.dumps(made)) <= first + 16


def test_the_window_of_a_track_goes_on_while_it_is_unseen():
    """Frames without the track count: a track that returns within the window keeps its votes, later it does not."""
    for missed, expected in ((2, 0), (3, 1)):
        made = smoother("mode", frames=5)
        classes_of(made, [0, 0])
        for _ in range(missed):
            made.update(seen((2, 4, 0.5)), 0.0)
        assert made.update(seen((1, 1, 0.5)), 0.0).classes.tolist() == [expected]


def test_outputs_and_inputs_are_never_written_to():
    """Classes that came out stay, and so do those that went in."""
    made, frozen = smoother("score"), []
    for frame in range(20):
        rows = seen((1, frame % 3, 0.5), (2, frame % 2, 0.9), (-1, 3, 0.4))
        rows.classes.flags.writeable = rows.scores.flags.writeable = False
        found = made.update(rows, frame / 10)
        found.classes.flags.writeable = False
        frozen += [(found.classes, found.classes.tolist()), (rows.classes, rows.classes.tolist())]
        assert found.classes.dtype == np.int32
    assert all(array.tolist() == before for array, before in frozen)


def test_a_reset_forgets():
    """After a reset, the next frame is the first."""
    made = smoother("mode")
    classes_of(made, [0] * 5)
    made.reset()
    assert classes_of(made, [1]) == [1]


def test_a_score_that_is_not_a_number_has_no_weight():
    """NaN and negative scores have no weight, and there is still a class."""
    assert classes_of(smoother("score"), [2, 1, 1], [0.5, np.nan, -1.0]) == [2, 2, 2]
    assert classes_of(smoother("score"), [1], [np.nan]) == [1]


def test_a_reset_restarts_the_clock():
    """After a reset, the window follows the new times, which may be earlier."""
    made = smoother("mode", seconds=1.0)
    made.update(seen((1, 0, 0.5)), 100.0)
    made.reset()
    found = [made.update(seen((1, label, 0.5)), time_s) for label, time_s in ((1, 0.0), (1, 0.5), (2, 5.0))]
    assert [int(one.classes[0]) for one in found] == [1, 1, 2]


def test_a_window_of_one_frame_smooths_nothing():
    """Only the present frame votes, even against a higher score before."""
    assert classes_of(smoother("score", frames=1), [0, 1, 2, 0], [0.9, 0.3, 0.1, 0.05]) == [0, 1, 2, 0]


def test_any_number_from_0_up_is_a_track():
    """Only -1 means that a row has no track."""
    made = smoother("mode")
    found = [made.update(seen((0, label, 0.5)), 0.0).classes.tolist() for label in (3, 3, 1)]
    assert found == [[3], [3], [3]]
