"""DeepSORT: motion and appearance."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.predictions import Detections
from quadrat.tracking.deepsort import MIN_COSINE, MIN_SURE_COSINE, MOMENTUM
from tests.tracking.scenes import LEFT, NOTHING, RIGHT, boxes, detections, embeddings, straight, tracker


def between(cosine: float, width: int = 8) -> np.ndarray:
    """Make an embedding (1, width) that has this cosine with kind 0, and is otherwise of kind 7."""
    made = np.zeros((1, width), np.float32)
    made[0, [0, 7]] = cosine, np.sqrt(1 - cosine**2)
    return made


def rows(made, frame: Detections, given: np.ndarray | None = None) -> list[int]:
    """Track a frame and return its numbers."""
    return made.update(frame, given).detections.tracks.tolist()


def away(*corners: tuple[float, float], kinds: tuple[int, ...]):
    """Make a tracker whose objects at these corners are lost for five frames."""
    made = tracker("deepsort")
    for _ in range(5):
        rows(made, boxes(*corners), embeddings(*kinds))
    for _ in range(5):
        rows(made, NOTHING, embeddings())
    return made


def test_two_that_change_places_are_told_apart():
    """If both boxes are in reach of both tracks, appearance decides; motion alone takes the nearer one."""
    before, after = boxes((100, 100), (112, 100)), boxes((112, 100), (100, 100))
    by_appearance, by_motion = tracker("deepsort"), tracker("deepsort")
    for _ in range(5):
        rows(by_appearance, before, embeddings(0, 1))
        rows(by_motion, before)
    assert rows(by_appearance, after, embeddings(0, 1)) == [1, 2]
    assert rows(by_motion, after) == [2, 1]


@pytest.mark.parametrize(("kind", "number"), [(0, 1), (1, -1)])
def test_a_known_appearance_needs_no_overlap(kind, number):
    """An object that moved further than its speed explains is known by its appearance; a stranger is not."""
    made = away(LEFT, kinds=(0,))
    assert rows(made, boxes((LEFT[0] + 80, LEFT[1])), embeddings(kind)) == [number]


@pytest.mark.parametrize(("above", "number"), [(0.01, 1), (-0.01, -1)])
def test_without_overlap_the_appearance_must_be_sure(above, number):
    """A match without overlap needs a cosine of MIN_SURE_COSINE."""
    made = away(LEFT, kinds=(0,))
    assert rows(made, boxes((LEFT[0] + 80, LEFT[1])), between(MIN_SURE_COSINE + above)) == [number]


def test_even_a_sure_appearance_has_its_gate():
    """An object at the other end of the picture is another one, and so is one of another class."""
    assert rows(away(LEFT, kinds=(0,)), boxes(RIGHT), embeddings(0)) == [-1]
    assert rows(away(LEFT, kinds=(0,)), boxes((LEFT[0] + 80, LEFT[1]), classes=1), embeddings(0)) == [-1]


def test_a_known_part_needs_no_overlap():
    """A strip of an object is no box that motion explains, but a part of it, and its appearance is known."""
    made = tracker("deepsort")
    for _ in range(5):
        rows(made, detections([(100, 100, 160, 160)]), embeddings(0))
    for _ in range(2):
        rows(made, NOTHING, embeddings())
    assert rows(made, detections([(120, 105, 128, 165)]), embeddings(0)) == [1]
    assert rows(made, detections([(120, 105, 128, 165)]), embeddings(1)) == [-1]


def test_an_appearance_that_two_have_decides_nothing():
    """Without overlap, neither of two equal tracks, nor of two equal objects, is matched."""
    lost = (LEFT, (LEFT[0] + 160, LEFT[1]))
    assert rows(away(*lost, kinds=(0, 0)), boxes((LEFT[0] + 80, LEFT[1])), embeddings(0)) == [-1]
    near = boxes((LEFT[0] + 80, LEFT[1]), (LEFT[0] - 80, LEFT[1]))
    assert rows(away(LEFT, kinds=(0,)), near, embeddings(0, 0)) == [-1, -1]


@pytest.mark.parametrize(("more", "number"), [(0.01, 1), (-0.01, -1)])
def test_without_overlap_the_appearance_must_be_distinct(more, number):
    """The cosine must exceed the next best by 0.1."""
    near = boxes((LEFT[0] + 80, LEFT[1]), (LEFT[0] - 80, LEFT[1]))
    given = np.concatenate([between(0.9), between(0.8 - more)])
    assert rows(away(LEFT, kinds=(0,)), near, given) == [number, -1]


@pytest.mark.parametrize(("above", "number"), [(0.01, 1), (-0.01, -1)])
def test_a_stranger_in_the_same_place_is_refused(above, number):
    """A box in the right place, but with a cosine below MIN_COSINE, is another object."""
    made = tracker("deepsort")
    for _ in range(5):
        rows(made, boxes(LEFT, RIGHT), embeddings(0, 1))
    given = np.concatenate([between(MIN_COSINE + above), embeddings(1)])
    assert rows(made, boxes(LEFT, RIGHT), given) == [number, 2]


def test_frames_without_embeddings_are_tracked_by_motion():
    """Tracks that started without an embedding get one later, and continue by motion where there is none."""
    made = tracker("deepsort")
    way = straight(6)
    given = [None, None, embeddings(0), embeddings(0), None, embeddings(0)]
    found = [rows(made, frame, one) for frame, one in zip(way, given, strict=True)]
    assert found == [[-1], [1], [1], [1], [1], [1]]
    rows(made, boxes(way[5].boxes[0, :2], RIGHT), embeddings(0, 1))
    assert np.allclose(made.tracks.embeddings, embeddings(0, 1))


@pytest.mark.parametrize("score", [1.0, 0.5])
def test_the_mean_embedding_moves_by_the_score(score):
    """An observation of score s moves the mean by (1 - MOMENTUM) s, and the mean has length 1."""
    made = tracker("deepsort")
    rows(made, boxes(LEFT), embeddings(0))
    seen = between(0.6)
    rows(made, boxes(LEFT, score=score), seen)
    mean = embeddings(0) + (1 - MOMENTUM) * score * (seen - embeddings(0))
    assert made.tracks.embeddings == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert made.tracks.embeddings.dtype == np.float32


@pytest.mark.parametrize(("cosine", "numbers"), [(0.79, [-1, 1]), (0.83, [1, -1])])
def test_a_clear_appearance_outweighs_the_best_position(cosine, numbers):
    """A box 0.29 worse in overlap is taken if its cosine is better by more than 0.19: the weight is 1.5."""
    made = tracker("deepsort")
    for _ in range(5):
        rows(made, boxes(LEFT), embeddings(0))
    given = np.concatenate([between(cosine), between(1.0)])
    assert rows(made, boxes(LEFT, (112, 100)), given) == numbers
