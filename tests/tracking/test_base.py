"""Laws that every tracker keeps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat import tracking
from quadrat.parameters import TrackingSettings
from quadrat.predictions import Tracked
from quadrat.tracking.base import BaseTracker
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
    tracks_of,
)  # fmt: skip

ALL = pytest.mark.parametrize("name", tracking.TRACKERS)
SEEDS = st.integers(0, 2**32 - 1)


def numbers(made: list[list[int]]) -> list[int]:
    """Return the numbers of all tracks that count, in order of their first frame."""
    return list(dict.fromkeys(n for frame in made for n in frame if n >= 0))


@ALL
@given(seed=SEEDS, across=st.booleans())
@settings(max_examples=15, deadline=None)
def test_rows_stay_and_numbers_are_sound(name, seed, across):
    """Rows come back as they went in; a number is -1 or from 1 up without gaps, and at most once in a frame."""
    made, given_numbers = tracker(name, track_across_classes=across), []
    for frame in crowd(seed):
        found = made.update(frame, embeddings(*frame.classes)).detections
        assert (found.boxes is frame.boxes, found.scores is frame.scores) == (True, True)
        assert np.array_equal(found.classes, frame.classes)
        assert (found.tracks.dtype, found.tracks.shape) == (np.int32, (len(frame),))
        assert ((found.tracks == -1) | (found.tracks > 0)).all()
        counted = found.tracks[found.tracks > 0]
        assert len(set(counted.tolist())) == len(counted)
        given_numbers.append(found.tracks.tolist())
    assert sorted(numbers(given_numbers)) == list(range(1, len(numbers(given_numbers)) + 1))


@ALL
@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_assigned_tracks_identify_tracks_from_their_start_on(name, seed):
    """A number belongs to one assigned track and it to no other number; they count up from 0 in order of start."""
    made, of_number, started = tracker(name), {}, 0
    for frame in crowd(seed):
        tracked = made.update(frame, embeddings(*frame.classes))
        assigned = tracked.assigned_tracks
        assert (assigned.dtype, assigned.shape) == (np.int64, (len(frame),))
        taken = assigned[assigned >= 0].tolist()
        assert len(set(taken)) == len(taken)
        new = sorted(one for one in taken if one >= started)
        assert new == list(range(started, started + len(new)))
        started += len(new)
        for number, one in zip(tracked.detections.tracks.tolist(), assigned.tolist(), strict=True):
            assert number < 0 or of_number.setdefault(number, one) == one
    assert len(set(of_number.values())) == len(of_number)


def freeze(arrays: Iterable[np.ndarray]) -> list[tuple[np.ndarray, bytes]]:
    """Make arrays read-only; return them with their present bytes."""
    frozen = []
    for array in arrays:
        array.flags.writeable = False
        frozen.append((array, array.tobytes()))
    return frozen


@ALL
@given(seed=SEEDS, steps=st.sampled_from([0.0, 1.0, 2.0]), min_hits=st.integers(1, 3))
@settings(max_examples=10, deadline=None)
def test_inputs_and_earlier_outputs_are_never_written_to(name, seed, steps, min_hits):
    """An update neither modifies nor keeps what goes in, and does not modify what came out of an earlier one."""
    made, frozen = tracker(name, min_hits=min_hits, max_age=3), []
    for frame in crowd(seed, frames=12):
        given_embeddings = embeddings(*frame.classes)
        frozen += freeze([frame.boxes, frame.scores, frame.classes, given_embeddings])
        tracked = made.update(frame, given_embeddings, steps)
        frozen += freeze([tracked.detections.tracks, tracked.assigned_tracks])
        assert frame.tracks is None
    assert all(array.tobytes() == before for array, before in frozen)


@ALL
def test_a_tracker_keeps_nothing_of_its_input(name):
    """Whoever reuses the arrays of a frame does not change the tracks."""
    reused, kept = tracker(name), tracker(name)
    for frame in crowd(8):
        given_embeddings = embeddings(*frame.classes)
        expected = kept.update(frame, given_embeddings)
        copy = detections(frame.boxes.tolist(), frame.scores.tolist(), frame.classes.tolist())
        tracked = reused.update(copy, given_embeddings.copy())
        assert tracked.detections.tracks.tolist() == expected.detections.tracks.tolist()
        for array in (
            copy.boxes,
            copy.scores,
            copy.classes,
            tracked.detections.tracks,
            tracked.assigned_tracks,
        ):
            array[...] = 0


def test_an_update_is_one_value():
    """All that an update knows is in what it returns."""
    made = tracker("sort")
    tracked = made.update(boxes(LEFT, RIGHT))
    assert isinstance(tracked, Tracked)
    assert (tracked.detections.tracks.tolist(), tracked.assigned_tracks.tolist()) == ([-1, -1], [0, 1])
    later = made.update(boxes(RIGHT, LEFT, (300, 300), score=[0.9, 0.9, np.nan]))
    assert (later.detections.tracks.tolist(), later.assigned_tracks.tolist()) == ([2, 1, -1], [1, 0, -1])


def test_a_tracker_without_a_policy_associates_nothing():
    """BaseTracker is for subclasses."""
    with pytest.raises(NotImplementedError):
        BaseTracker(TrackingSettings(), 0.25).update(boxes(LEFT))


@ALL
@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_the_order_of_detections_does_not_matter(name, seed):
    """Shuffled rows get the same tracks, except for their numbers."""
    rng = np.random.default_rng(seed)
    plain, shuffled = tracker(name), tracker(name)
    names: dict[int, int] = {}
    for frame in crowd(seed):
        order = rng.permutation(len(frame))
        one = plain.update(frame, embeddings(*frame.classes)).detections.tracks
        two = shuffled.update(frame[order], embeddings(*frame.classes[order])).detections.tracks
        for a, b in zip(one[order].tolist(), two.tolist(), strict=True):
            assert names.setdefault(a, b) == b
    assert len(set(names.values())) == len(names)


@ALL
def test_two_runs_give_the_same(name):
    """The same frames give the same tracks."""
    frames = crowd(3)
    assert tracks_of(tracker(name), frames) == tracks_of(tracker(name), frames)


@ALL
def test_two_trackers_share_nothing(name):
    """One source changes neither numbers nor tracks of another; in some libraries all share one counter."""
    frames, one, two = crowd(4), tracker(name), tracker(name)
    alone = tracks_of(tracker(name), frames)
    mixed = []
    for frame, other in zip(frames, crowd(5), strict=True):
        mixed += tracks_of(one, [frame])
        tracks_of(two, [other])
    assert mixed == alone


@ALL
@pytest.mark.parametrize("min_hits", [1, 2, 3])
def test_a_track_counts_from_min_hits_on(name, min_hits):
    """The first frames of a track give -1; frame number min-hits gives its number."""
    made = tracks_of(tracker(name, min_hits=min_hits), straight(5))
    assert made == [[-1]] * (min_hits - 1) + [[1]] * (6 - min_hits)


@ALL
@pytest.mark.parametrize(
    ("gap", "same"), [(0, True), (1, True), (9, True), (10, True), (11, False), (30, False)]
)
@pytest.mark.parametrize("at_once", [False, True])
def test_a_lone_object_keeps_its_number_through_a_gap_of_max_age(name, gap, same, at_once):
    """It gets another number after more unseen frames than max-age; frames that were never shown count, too."""
    made = tracker(name, max_age=10)
    way = straight(20 + gap)
    assert tracks_of(made, way[:10])[-1] == [1]
    if at_once:
        first = tracks_of(made, [way[10 + gap]], steps=gap + 1.0)
    else:
        tracks_of(made, [NOTHING] * gap)
        first = tracks_of(made, [way[10 + gap]])
    assert first == [[1 if same else -1]]
    assert tracks_of(made, [way[11 + gap]]) == [[1 if same else 2]]


@ALL
@pytest.mark.parametrize(
    "sides",
    [
        lambda n: (72 if n // 3 % 2 else 48, 60),
        lambda n: (70, 70) if n // 3 % 2 else (50, 50),
        lambda n: (78 if n % 2 else 42, 60),
        lambda n: (60 * (1 + 0.1 * (n % 3 - 1)), 60 * (1 - 0.1 * (n % 5 - 2))),
    ],
    ids=["width", "both", "every frame", "unsure"],
)
def test_an_object_alone_keeps_its_number_whatever_its_shape(name, sides):
    """An animal that turns, or a network that is unsure of edges: there is no other object that it could be."""
    frames = []
    for n in range(60):
        width, height = sides(n)
        x, y = 100 + 3 * n, 180
        frames.append(detections([(x - width / 2, y - height / 2, x + width / 2, y + height / 2)]))
    assert tracks_of(tracker(name), frames) == [[-1]] + [[1]] * 59


@pytest.mark.parametrize(
    ("name", "kind", "score"), [*((name, 1, 0.6) for name in tracking.TRACKERS), ("bytetrack", 0, 0.15)]
)
def test_what_could_not_be_the_object_is_no_other(name, kind, score):
    """A box of another class in the same place, or one too faint to start a track, does not end the isolation."""
    made, found = tracker(name), []
    for n in range(40):
        width, x = (78 if n % 2 else 42), 100 + 3 * n
        corners = [(x - width / 2, 150, x + width / 2, 210), (x - 20, 160, x + 20, 200)]
        frame = detections(corners, [0.9, score], [0, kind])
        found.append(int(made.update(frame, embeddings(0, 0)).detections.tracks[0]))
    assert found == [-1] + [found[1]] * 39
    assert found[1] > 0


@ALL
def test_max_age_0_ends_a_track_at_the_first_miss(name):
    """With max-age=0, one frame without the object ends its track."""
    made = tracker(name, max_age=0)
    way = straight(6)
    assert tracks_of(made, [way[0], way[1], NOTHING, way[3], way[4]]) == [[-1], [1], [], [-1], [2]]


@ALL
def test_empty_frames_age_and_end_tracks(name):
    """Frames without objects have no rows, and all tracks end after max-age."""
    made = tracker(name, max_age=5)
    tracks_of(made, crowd(6))
    assert len(made.tracks)
    assert tracks_of(made, [NOTHING] * 7) == [[]] * 7
    assert len(made.tracks) == 0


@ALL
def test_a_reset_drops_tracks_but_reuses_no_number(name):
    """After a reset, the same object gets a number that was never used before."""
    made = tracker(name, min_hits=1)
    assert tracks_of(made, [boxes(LEFT, RIGHT)]) == [[1, 2]]
    made.reset()
    assert tracks_of(made, [boxes(LEFT)]) == [[3]]


@ALL
def test_a_track_stays_with_its_class(name):
    """Another class in the same place is another object, unless tracks continue across classes."""
    frames = [boxes(LEFT, classes=[c]) for c in (0, 0, 1, 1, 0)]
    same = np.ones((1, 8), np.float32) / np.sqrt(8).astype(np.float32)
    apart, across = tracker(name), tracker(name, track_across_classes=True)
    assert [apart.update(f, same).detections.tracks.tolist() for f in frames] == [[-1], [1], [-1], [2], [1]]
    assert [across.update(f, same).detections.tracks.tolist() for f in frames] == [[-1], [1], [1], [1], [1]]


@ALL
def test_two_classes_in_one_place_are_two_tracks(name):
    """Objects of two classes on top of each other do not exchange their numbers."""
    frames = [boxes((100 + f, 100), (101 + f, 101), classes=[0, 1]) for f in range(4)]
    assert tracks_of(tracker(name), frames) == [[-1, -1], [1, 2], [1, 2], [1, 2]]


@ALL
@pytest.mark.parametrize(
    "corners",
    [
        (50, 50, 50, 50),
        (0, 0, 0, 90),
        (90, 90, 20, 20),
        (np.nan, 0, 9, 9),
        (0, 0, np.inf, 9),
        (0, 0, 1e30, 1e30),
    ],
)
def test_degenerate_boxes_do_no_harm(name, corners):
    """A box without an area, or with corners that are not finite, does not disturb the others or leave a NaN."""
    made = tracker(name)
    odd = detections([corners, (400, 400, 440, 440)])
    with np.errstate(all="raise"):
        made_tracks = [made.update(odd, embeddings(0, 1)).detections.tracks.tolist() for _ in range(4)]
    assert [row[1] > 0 for row in made_tracks] == [False, True, True, True]
    assert np.isfinite(made.tracks.state).all()


@ALL
def test_scores_that_are_not_finite_are_not_tracked(name):
    """A row with a NaN score belongs to no track."""
    made = tracker(name, min_hits=1)
    assert tracks_of(made, [boxes(LEFT, score=np.nan)]) == [[-1]]


@ALL
@pytest.mark.parametrize("steps", [0.0, -1.0, np.nan, np.inf, 0.5])
def test_odd_times_do_no_harm(name, steps):
    """Steps of 0, below 0, infinite or NaN leave sound tracks."""
    made = tracker(name)
    frame = boxes(LEFT, RIGHT)
    for _ in range(3):
        found = made.update(frame, embeddings(0, 1), steps).detections
        assert np.isfinite(made.tracks.state).all()
    assert (found.tracks != 0).all()


def test_only_ocsort_keeps_a_history():
    """The columns that a tracker does not use have no width."""
    widths = {name: tracker(name).tracks.history.shape[1] for name in tracking.TRACKERS}
    assert widths == {"sort": 0, "bytetrack": 0, "ocsort": 4, "deepsort": 0}


@ALL
def test_a_track_without_a_number_ends_at_the_first_miss(name):
    """Before it counts, a track does not survive a frame without its object, however short the step."""
    made = tracker(name)
    made.update(boxes(LEFT), embeddings(0))
    made.update(NOTHING, embeddings(), 0.05)
    assert len(made.tracks) == 0
