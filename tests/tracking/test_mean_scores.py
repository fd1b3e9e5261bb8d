"""The finer class of a track is that of the mean of its probabilities."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.geometry import Window
from quadrat.predictions import Classification, Detections, ObjectResult
from quadrat.tracking.mean_scores import MeanScores

WINDOW = Window(0, 0, 9, 9)


def seen(scores: list[list[float] | None], tracks: list[int] | None) -> Detections:
    """Make objects with these finer scores."""
    count = len(scores)
    results = tuple(
        None if each is None else ObjectResult(WINDOW, Classification(np.array(each, np.float32)))
        for each in scores
    )
    return Detections(
        np.zeros((count, 4), np.float32),
        np.ones(count, np.float32),
        np.zeros(count, np.int32),
        None if tracks is None else np.array(tracks, np.int32),
        details={"finer": results},
    )


def scores_of(results: tuple[ObjectResult | None, ...]) -> list[list[float] | None]:
    """Give the scores of each row."""
    return [
        None if each is None else [round(score, 4) for score in each.prediction.scores.tolist()]
        for each in results
    ]


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=20))
def test_it_is_the_mean_so_far(frames: list[list[float]]) -> None:
    """The first frame has its own scores; the last one the mean of all, whatever their order."""
    means = MeanScores("finer", 30)
    results = [means.update(seen([scores], [7]))[0] for scores in frames]
    first, last = results[0], results[-1]

    assert first is not None
    assert last is not None
    np.testing.assert_allclose(first.prediction.scores, frames[0], atol=1e-6)
    np.testing.assert_allclose(last.prediction.scores, np.mean(frames, axis=0), atol=2e-6)
    again = MeanScores("finer", 30)
    turned = [again.update(seen([scores], [7]))[0] for scores in reversed(frames)][-1]
    assert turned is not None
    assert last.prediction.scores.tobytes() == turned.prediction.scores.tobytes()


def test_one_wrong_frame_changes_no_class() -> None:
    """Of a track; an object without a track keeps its own scores, and one without a result gets those of its track."""
    means = MeanScores("finer", 30)
    means.update(seen([[0.9, 0.1], [0.2, 0.8]], [1, -1]))
    means.update(seen([[0.8, 0.2]], [1]))
    results = means.update(seen([[0.1, 0.9], [0.3, 0.7], None, None], [1, -1, 2, -1]))

    assert [[0.6, 0.4], [0.3, 0.7], None, None] == scores_of(results)
    assert [[0.6, 0.4]] == scores_of(means.update(seen([None], [1])))


def test_without_tracks_nothing_changes() -> None:
    """The same values come out."""
    found = seen([[0.9, 0.1], None], None)
    assert found.details["finer"] == MeanScores("finer", 30).update(found)


def test_a_track_that_has_ended_is_forgotten() -> None:
    """Memory does not grow with the number of tracks."""
    means = MeanScores("finer", 3)
    for number in range(1, 50):
        means.update(seen([[1.0, 0.0]], [number]))
    assert len(means._sums) <= 4


@given(st.integers(2, 30_000), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_the_mean_of_one_frame_is_that_frame(count: int, seed: int) -> None:
    """Law: probabilities of thousands of classes still sum to 1, and to those of the names above them."""
    shares = np.random.default_rng(seed).exponential(1, count) ** 3
    scores = (shares / shares.sum()).astype(np.float32)
    means = MeanScores("finer", 30)
    for _ in range(3):
        (result,) = means.update(seen([scores.tolist()], [7]))
        assert result is not None
        np.testing.assert_allclose(result.prediction.scores, scores, rtol=1e-6, atol=1e-12)
