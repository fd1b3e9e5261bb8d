"""Labels over time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.parameters import TrackingSettings
from quadrat.tracking.smoothing import Smoother
from quadrat.types import Detections

METHODS = pytest.mark.parametrize("method", ["mode", "median", "score"])


def smoother(
    method: str = "mode", frames: int = 5, seconds: float = 0.0, classes: int | None = None
) -> Smoother:
    """Make a smoother."""
    return Smoother(
        TrackingSettings(smooth_labels=method, smooth_frames=frames, smooth_seconds=seconds), classes
    )


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
    """Show one track's labels and give what comes out, frame by frame."""
    given_scores = scores or [0.5] * len(labels)
    return [
        int(made.update(seen((1, label, score)), frame / rate).classes[0])
        for frame, (label, score) in enumerate(zip(labels, given_scores, strict=True))
    ]


@METHODS
def test_the_first_frame_has_its_own_class(method):
    """The class is defined from the first frame (a fault of peers: -1 until the window is full)."""
    assert classes_of(smoother(method), [3]) == [3]


@METHODS
@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_the_class_is_one_that_was_seen(method, labels):
    """Nothing but a class of the window comes out, and the window ends where it says."""
    for frame, label in enumerate(classes_of(smoother(method), labels)):
        assert label in labels[max(0, frame - 4) : frame + 1]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_mode_is_the_most_frequent(labels):
    """By a count of the window; a tie goes to the present class, else to the latest."""
    for frame, label in enumerate(classes_of(smoother("mode"), labels)):
        window = labels[max(0, frame - 4) : frame + 1]
        counts = Counter(window)
        tied = [c for c in counts if counts[c] == max(counts.values())]
        latest = next(c for c in reversed(window) if c in tied)
        assert label == latest


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_median_is_in_the_middle(labels):
    """No more than half of the window is below, and no more than half above."""
    for frame, label in enumerate(classes_of(smoother("median"), labels)):
        window = labels[max(0, frame - 4) : frame + 1]
        assert sum(c < label for c in window) <= len(window) / 2
        assert sum(c > label for c in window) <= len(window) / 2


def test_score_weighs():
    """One sure look outweighs two doubtful ones, until it leaves the window."""
    labels, scores = [1, 2, 2, 2, 2, 2], [0.95, 0.3, 0.3, 0.3, 0.3, 0.3]
    assert classes_of(smoother("score", frames=4), labels, scores) == [1, 1, 1, 1, 2, 2]


def test_a_flicker_is_gone():
    """One wrong frame in the midst of others changes nothing."""
    assert classes_of(smoother("mode"), [0, 0, 0, 1, 0, 0, 2, 0]) == [0] * 8


def test_a_tie_goes_to_the_present_class():
    """Two and two: what is seen now; and where that is not among the best, what was seen last of them."""
    assert classes_of(smoother("mode", frames=4), [0, 0, 1, 1]) == [0, 0, 0, 1]
    assert classes_of(smoother("mode", frames=5), [0, 1, 0, 1, 2])[-1] == 1


def test_seconds_go_by_media_time():
    """Votes older than smooth-seconds do not count, however many frames there were."""
    made = smoother("mode", frames=1000, seconds=0.5)
    assert classes_of(made, [0] * 20, rate=10)[-1] == 0
    assert [int(made.update(seen((1, 1, 0.5)), 1.9 + 0.1 * f).classes[0]) for f in range(1, 5)] == [
        0,
        0,
        1,
        1,
    ]
    assert int(made.update(seen((1, 2, 0.5)), 60.0).classes[0]) == 2


def test_time_that_runs_back_keeps_the_votes():
    """A stream whose clock starts anew is smoothed on."""
    made = smoother("mode", seconds=1.0)
    for _ in range(5):
        made.update(seen((1, 4, 0.5)), 100.0)
    assert made.update(seen((1, 3, 0.5)), 0.0).classes.tolist() == [4]


def test_tracks_are_apart_and_the_untracked_pass():
    """Each track votes for itself; a row without a track keeps its class; the input is not changed."""
    made = smoother("mode")
    for _ in range(3):
        made.update(seen((1, 0, 0.5), (2, 1, 0.5)), 0.0)
    given_rows = seen((2, 0, 0.5), (-1, 7, 0.5), (1, 1, 0.5))
    found = made.update(given_rows, 0.0)
    assert found.classes.tolist() == [1, 7, 0]
    assert given_rows.classes.tolist() == [0, 7, 1]
    assert found.tracks is given_rows.tracks


@pytest.mark.parametrize("made", [smoother("none"), smoother("mode", classes=1)])
def test_nothing_to_do_is_nothing_done(made):
    """Without a method, or with one class only, detections pass as they are; so do those without tracks."""
    rows = seen((1, 0, 0.5))
    assert made.update(rows, 0.0) is rows
    assert smoother().update(Detections.none(), 0.0).tracks is None


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_memory_is_flat(seconds):
    """Tracks that ended are forgotten, and a long track keeps its window only."""
    made = smoother("mode", frames=5, seconds=seconds)
    for frame in range(500):
        made.update(seen((1, frame % 3, 0.5), (2 + frame, 0, 0.5)), frame / 10)
    assert len(made._votes) <= 6
    assert max(len(votes.entries) for votes in made._votes.values()) <= 5
    for frame in range(500, 510):
        made.update(seen(), frame / 10)
    assert not made._votes


def test_a_reset_forgets():
    """After a reset the next frame is the first."""
    made = smoother("mode")
    classes_of(made, [0] * 5)
    made.reset()
    assert classes_of(made, [1]) == [1]


def test_a_score_that_is_no_number_has_no_weight():
    """NaN and negative scores vote for nothing, and the class is still defined."""
    assert classes_of(smoother("score"), [2, 1, 1], [0.5, np.nan, -1.0]) == [2, 2, 2]
    assert classes_of(smoother("score"), [1], [np.nan]) == [1]
