"""Columns of tracks and observations."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from quadrat.tracking import kalman
from quadrat.tracking.tracks import Observations, Tracks
from tests.tracking.scenes import LEFT, RIGHT, boxes, detections, embeddings


def observed(*kinds: int) -> Observations:
    """Make observations of classes 0, 1, ... with embeddings of these kinds."""
    corners = [(100 * n, 0, 100 * n + 40, 90) for n in range(len(kinds))]
    made = detections(corners, [0.5 + 0.1 * n for n in range(len(kinds))], list(range(len(kinds))))
    return Observations.of(made, embeddings(*kinds))


def test_observations_are_the_finite_rows():
    """Rows with a corner or a score that is not finite are left out; the others keep their columns."""
    frame = detections(
        [(np.nan, 0, 9, 9), (0, 0, 40, 60), (0, 0, 9, np.inf), (5, 5, 9, 9), (7, 7, 8, 9)],
        [0.9, 0.8, 0.7, np.nan, 0.5],
        [0, 1, 2, 3, 4],
    )
    seen = Observations.of(frame, embeddings(0, 1, 2, 3, 4))
    assert len(seen) == 2
    assert seen.rows.tolist() == [1, 4]
    assert (seen.boxes.dtype, seen.boxes.tolist()) == (np.float64, [[0, 0, 40, 60], [7, 7, 8, 9]])
    assert seen.scores.tolist() == frame.scores[[1, 4]].tolist()
    assert seen.classes.tolist() == [1, 4]
    assert np.array_equal(seen.embeddings, embeddings(1, 4))
    assert Observations.of(frame, None).embeddings.shape == (2, 0)


def test_observations_are_copies():
    """Whoever writes to the detections later does not change a tracker."""
    frame, given = boxes(LEFT, RIGHT), embeddings(0, 1)
    seen = Observations.of(frame, given)
    for name, array in (("boxes", frame.boxes), ("scores", frame.scores), ("embeddings", given)):
        assert not np.shares_memory(getattr(seen, name), array)
    assert not np.shares_memory(seen.classes, frame.classes)


def test_observations_are_selected_by_index():
    """All columns are selected alike, in the order of the indices."""
    seen = observed(0, 1, 2)
    some = seen.select(np.array([2, 0]))
    for field in fields(Observations):
        assert np.array_equal(getattr(some, field.name), getattr(seen, field.name)[[2, 0]])


def test_a_boxes_side_is_at_least_a_pixel():
    """A box without an area has a size all the same."""
    seen = Observations.of(detections([(50, 50, 50, 90)]), None)
    assert seen.boxes.tolist() == [[49.5, 50, 50.5, 90]]


@pytest.mark.parametrize("history", [0, 3])
def test_a_track_starts_at_its_observation(history):
    """It is at rest, seen once, without a number; serials count up."""
    seen = observed(3, 5)
    made = Tracks.start(seen, history, serial=7)
    assert len(made) == 2
    assert np.array_equal(made.state, kalman.initiate(seen.boxes))
    assert (made.serials.tolist(), made.numbers.tolist()) == ([7, 8], [0, 0])
    assert (made.classes.tolist(), made.hits.tolist()) == ([0, 1], [1, 1])
    assert made.time_since_update.tolist() == [0, 0]
    assert made.recent[:, 0].tolist() == [[20, 45], [120, 45]]
    assert np.isnan(made.recent[:, 1:]).all()
    assert np.allclose(made.boxes, seen.boxes)
    assert np.array_equal(made.embeddings, seen.embeddings)
    assert np.array_equal(made.history, np.repeat(seen.boxes[:, None], history, axis=1))
    assert np.array_equal(made.observed_state, made.state[:, : 5 if history else 0])
    assert made.numbers.dtype == made.hits.dtype == made.classes.dtype == np.int32


def test_the_columns_of_a_track_are_its_own():
    """A tracker writes to the columns one by one: none shares its memory with another or with the observations."""
    seen = observed(0, 1)
    made = Tracks.start(seen, history=2)
    arrays = [getattr(made, f.name) for f in fields(Tracks)] + [
        getattr(seen, f.name) for f in fields(Observations)
    ]
    for number, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[number + 1 :])


@pytest.mark.parametrize(("steps", "known"), [(1.0, 2), (1.3, 2), (0.6, 2), (2.0, 0), (0.0, 0)])
def test_recent_centres_are_those_of_single_steps(steps, known):
    """After any other time than about one step, earlier centres are forgotten."""
    made = Tracks.start(observed(0))
    made.shift_recent(1.0)
    made.recent[:, 0] = 7
    made.shift_recent(steps)
    assert np.isnan(made.recent[:, 0]).all()
    assert np.isfinite(made.recent).all(axis=2).sum() == known


def test_tracks_are_selected_and_concatenated():
    """What is selected and put together again is what was there."""
    made = Tracks.start(observed(0, 1, 2), history=2)
    first = np.array([True, False, True])
    some = made.select(first).concatenate(made.select(~first))
    assert len(made.select(first)) == 2
    for field in fields(Tracks):
        assert np.array_equal(
            getattr(some, field.name),
            getattr(made, field.name)[[0, 2, 1]],
            equal_nan=field.name == "recent",
        )


@pytest.mark.parametrize("known_first", [False, True])
def test_unknown_embeddings_are_zeros(known_first):
    """Tracks without embeddings get zeros of the others' width, whichever come first; known ones stay."""
    with_them = Tracks.start(observed(1, 2))
    without = Tracks.start(Observations.of(boxes(LEFT), None))
    both = with_them.concatenate(without) if known_first else without.concatenate(with_them)
    zeros = np.zeros((1, 8), np.float32)
    expected = (embeddings(1, 2), zeros) if known_first else (zeros, embeddings(1, 2))
    assert np.array_equal(both.embeddings, np.concatenate(expected))
    assert both.embeddings.dtype == np.float32
    with_them.widen_embeddings(8)
    assert np.array_equal(with_them.embeddings, embeddings(1, 2))
