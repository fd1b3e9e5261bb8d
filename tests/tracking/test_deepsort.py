"""DeepSORT: motion and appearance."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.predictions import Detections
from quadrat.tracking.deepsort import MIN_COSINE, MIN_SURE_COSINE, MOMENTUM, MOST_USUAL, UsualCosines
from quadrat.tracking.tracks import Observations
from tests.tracking.scenes import (
    LEFT,
    NOTHING,
    RIGHT,
    boxes,
    crowd,
    detections,
    embeddings,
    straight,
    tracker,
)


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


def alike(cosine: float, *kinds: int, width: int = 8) -> np.ndarray:
    """Make embeddings that have this cosine with each other if their kinds differ, as those of a network may."""
    own, common = np.sqrt(1 - cosine), np.sqrt(cosine)
    return np.concatenate(
        [own * embeddings(*kinds, width=width), np.full((len(kinds), 1), common, np.float32)], axis=1
    ).astype(np.float32)


def seen(*given: tuple[Detections, np.ndarray], across: bool = False) -> float:
    """Give the usual cosine of different objects after these frames, many times, so that no assumption is left."""
    made, usual = tracker("deepsort", track_across_classes=across), UsualCosines()
    frames = [Observations.of(*each) for each in given]
    for frame in frames * (600 // len(frames)):
        usual.add_others(frame, made._may_be_one(frame))
    return usual.others.value


@pytest.mark.parametrize("cosine", [0.0, 0.5, 0.75, 0.9])
def test_appearance_decides_however_alike_all_objects_are(cosine):
    """Two objects that change places keep their tracks, and a stranger does not take the track of its place."""
    before, after = boxes((100, 100), (112, 100)), boxes((112, 100), (100, 100))
    made, place = tracker("deepsort"), tracker("deepsort")
    for _ in range(30):
        rows(made, boxes((100, 100), (300, 100)), alike(cosine, 0, 1))
        rows(place, boxes(LEFT, RIGHT, (300, 300), (500, 100)), alike(cosine, 0, 1, 4, 5))
    for _ in range(3):
        rows(made, before, alike(cosine, 0, 2))
    first = rows(made, before, alike(cosine, 0, 2))
    assert rows(made, after, alike(cosine, 0, 2)) == first
    assert rows(place, boxes(LEFT, RIGHT), alike(cosine, 3, 1)) == [-1, 2]


def test_the_usual_cosine_is_that_of_different_objects_in_one_frame():
    """Objects that overlap show each other, and those of another class are never confused: neither counts."""
    apart, over = boxes(LEFT, RIGHT), boxes(LEFT, (LEFT[0] + 20, LEFT[1]))
    classes = boxes(LEFT, RIGHT, classes=(0, 1))
    assert seen((apart, alike(0.6, 0, 1))) == pytest.approx(0.6, abs=0.01)
    assert seen((apart, alike(0.6, 0, 1)), (over, alike(0.9, 0, 1))) == pytest.approx(0.6, abs=0.01)
    assert seen((classes, alike(0.6, 0, 1))) == 0
    assert seen((classes, alike(0.6, 0, 1)), across=True) == pytest.approx(0.6, abs=0.01)
    assert seen((boxes(LEFT), alike(0.6, 0))) == 0


@pytest.mark.parametrize(("cosine", "zero"), [(-1.0, 0.0), (1.0, MOST_USUAL)])
def test_the_zero_of_contrast_is_a_cosine_in_0_to_1(cosine, zero):
    """Also if objects are less alike than at random, or not to be told apart."""
    made = tracker("deepsort")
    for _ in range(300):
        rows(made, boxes(LEFT, RIGHT), np.array([[1, 0], [cosine, 0]], np.float32))
    assert made._usual.zero == pytest.approx(zero, abs=0.01)


def test_embeddings_that_vary_for_one_object_refuse_nothing():
    """If a network does not know its objects again, motion follows them, as without it."""
    made, rng = tracker("deepsort"), np.random.default_rng(5)
    for _ in range(60):
        noise = rng.normal(size=(2, 32)) + 1
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        rows(made, boxes(LEFT, RIGHT), noise.astype(np.float32))
    assert made.tracks.numbers.tolist() == [1, 2]
    assert made._usual.others.value == pytest.approx(0.5, abs=0.1)
    assert made._usual.zero < 0.25


def test_the_usual_cosine_is_forgotten_with_the_tracks():
    """After a reset the picture may be another one."""
    made = tracker("deepsort")
    for _ in range(30):
        rows(made, boxes(LEFT, RIGHT), alike(0.8, 0, 1))
    assert made._usual.zero > 0.5
    made.reset()
    assert made._usual.zero == UsualCosines().zero == 0


def test_of_many_objects_some_are_compared():
    """Their pairs would grow with the square; the mean is the same."""
    rng = np.random.default_rng(3)
    corners = [(60.0 * (n % 20), 60.0 * (n // 20)) for n in range(200)]
    vectors = rng.normal(size=(200, 16)) + 1
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    cosines = (vectors @ vectors.T)[np.triu_indices(200, 1)]
    assert seen((boxes(*corners), vectors)) == pytest.approx(float(cosines.mean()), abs=0.05)


@pytest.mark.parametrize("unknown", [0.0, np.nan, np.inf])
def test_an_object_without_an_embedding_is_matched_by_motion_only(unknown):
    """It keeps the track of its place, takes none by appearance, and leaves the track's mean as it is."""
    made, nothing = tracker("deepsort"), np.full((1, 8), unknown, np.float32)
    for _ in range(5):
        rows(made, boxes(LEFT, RIGHT), embeddings(0, 1))
    mean = made.tracks.embeddings.copy()
    given = np.concatenate([nothing, embeddings(1)])
    for _ in range(3):
        assert rows(made, boxes(LEFT, RIGHT), given) == [1, 2]
    assert np.array_equal(made.tracks.embeddings, mean)
    assert rows(away(LEFT, kinds=(0,)), boxes((LEFT[0] + 80, LEFT[1])), nothing) == [-1]


@pytest.mark.parametrize("unknown", [0.0, np.nan])
def test_without_any_embedding_deepsort_is_its_motion(unknown):
    """Rows of zeros give the tracks of no embeddings at all."""
    rows_of, by_motion = tracker("deepsort"), tracker("deepsort")
    for number in range(3):
        for frame in crowd(number):
            given = np.full((len(frame), 8), unknown, np.float32)
            assert rows(rows_of, frame, given) == rows(by_motion, frame)


def test_a_track_that_starts_without_an_embedding_takes_the_first_that_comes():
    """Until then it is followed by motion."""
    made = tracker("deepsort")
    given = np.concatenate([np.zeros((1, 8), np.float32), embeddings(1)])
    for _ in range(3):
        rows(made, boxes(LEFT, RIGHT), given)
    assert rows(made, boxes(LEFT, RIGHT), embeddings(0, 1)) == [1, 2]
    assert np.allclose(made.tracks.embeddings, embeddings(0, 1))
