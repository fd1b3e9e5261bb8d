"""Laws that every tracker keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat import tracking
from quadrat.errors import ParameterError
from quadrat.parameters import TrackingSettings
from quadrat.types import Detections
from tests.tracking.scenes import LEFT, RIGHT, boxes, looks, straight, tracker, tracks_of

ALL = pytest.mark.parametrize("name", tracking.TRACKERS)
NOTHING = Detections.none()


def crowd(seed: int, frames: int = 25, count: int = 12) -> list[Detections]:
    """Make objects that cross, with gaps and false ones; each has a class of its own by its number."""
    rng = np.random.default_rng(seed)
    place, speed = rng.uniform(0, 400, (count, 2)), rng.uniform(-6, 6, (count, 2))
    made = []
    for _ in range(frames):
        place = place + speed
        corner = np.concatenate([place[rng.random(count) < 0.9], rng.uniform(0, 400, (rng.poisson(0.5), 2))])
        edges = np.concatenate([corner, corner + 40], axis=1) + rng.normal(0, 1, (len(corner), 4))
        scores = rng.uniform(0.3, 1, len(corner)).astype(np.float32)
        made.append(Detections(edges.astype(np.float32), scores, np.zeros(len(corner), np.int32)))
    return made


def shown(*corners: list[float]) -> Detections:
    """Make objects of class 0 with these corners x0, y0, x1, y1."""
    count = len(corners)
    return Detections(
        np.array(corners, np.float32), np.full(count, 0.9, np.float32), np.zeros(count, np.int32)
    )


def numbers(made: list[list[int]]) -> list[int]:
    """Give all tracks that count, in order of their first frame."""
    return list(dict.fromkeys(n for frame in made for n in frame if n >= 0))


@ALL
@given(seed=st.integers(0, 2**32 - 1), across=st.booleans())
@settings(max_examples=15, deadline=None)
def test_rows_stay_and_tracks_are_sound(name, seed, across):
    """The rows come back as they went in; a track is -1 or from 1 up, once in a frame, counts up from 1, and is one taker."""
    made = tracker(name, track_across_classes=across)
    given, takers = [], {}
    for frame in crowd(seed):
        found = made.update(frame, looks(*frame.classes))
        assert len(made.takers) == len(frame)
        assert (made.takers[found.tracks > 0] >= 0).all()
        takers |= dict(zip(found.tracks.tolist(), made.takers.tolist(), strict=True))
        assert all(takers[n] == t for n, t in zip(found.tracks, made.takers, strict=True) if n > 0)
        assert (found.boxes is frame.boxes, found.scores is frame.scores) == (True, True)
        assert np.array_equal(found.classes, frame.classes)
        assert found.tracks.dtype == np.int32
        assert ((found.tracks == -1) | (found.tracks > 0)).all()
        counted = found.tracks[found.tracks > 0]
        assert len(set(counted.tolist())) == len(counted)
        given.append(found.tracks.tolist())
    assert sorted(numbers(given)) == list(range(1, len(numbers(given)) + 1))


@ALL
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_the_order_of_detections_says_nothing(name, seed):
    """Shuffled rows get the same tracks, but for their names."""
    rng = np.random.default_rng(seed)
    plain, shuffled = tracker(name), tracker(name)
    names: dict[int, int] = {}
    for frame in crowd(seed):
        order = rng.permutation(len(frame))
        one = plain.update(frame, looks(*frame.classes)).tracks
        two = shuffled.update(frame[order], looks(*frame.classes[order])).tracks
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
    """What one source shows changes neither numbers nor tracks of another (a fault of peers: numbers for all)."""
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
    """The first frames of a track give -1, the min-hits-th gives its number."""
    made = tracks_of(tracker(name, min_hits=min_hits), straight(5))
    assert made == [[-1]] * (min_hits - 1) + [[1]] * (6 - min_hits)


@ALL
@pytest.mark.parametrize(
    ("gap", "same"), [(0, True), (1, True), (9, True), (10, True), (11, False), (30, False)]
)
@pytest.mark.parametrize("at_once", [False, True])
def test_a_lone_object_keeps_its_number_through_a_gap_of_max_age(name, gap, same, at_once):
    """It has another number once it was unseen in more frames than max-age; frames that never came count as well."""
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
    """A turning animal, or a network that is unsure of edges: nothing else is there that it could be."""
    frames = []
    for n in range(60):
        width, height = sides(n)
        x, y = 100 + 3 * n, 180
        frames.append(shown([x - width / 2, y - height / 2, x + width / 2, y + height / 2]))
    assert tracks_of(tracker(name), frames) == [[-1]] + [[1]] * 59


@pytest.mark.parametrize(
    ("name", "kind", "score"), [*((name, 1, 0.6) for name in tracking.TRACKERS), ("bytetrack", 0, 0.15)]
)
def test_what_could_not_be_the_object_is_no_other(name, kind, score):
    """A box of another class in the same place, as of a network in doubt, or one too faint to begin a track."""
    made, given = tracker(name), []
    for n in range(40):
        width, x = (78 if n % 2 else 42), 100 + 3 * n
        corners = [[x - width / 2, 150, x + width / 2, 210], [x - 20, 160, x + 20, 200]]
        frame = Detections(
            np.array(corners, np.float32), np.array([0.9, score], np.float32), np.array([0, kind], np.int32)
        )
        given.append(int(made.update(frame, looks(0, 0)).tracks[0]))
    assert given == [-1] + [given[1]] * 39
    assert given[1] > 0


@pytest.mark.parametrize("name", ["sort", "bytetrack"])
def test_a_shape_that_motion_does_not_explain_is_another_object_where_there_are_two(name):
    """What stands in a track's place is not taken for it by overlap alone while another object is there, too."""
    here, wide, beside = [100, 100, 160, 160], [85, 115, 175, 155], [150, 100, 210, 160]
    alone, crowded = tracker(name), tracker(name)
    for made in (alone, crowded):
        tracks_of(made, [shown(here)] * 10)
    assert tracks_of(alone, [shown(wide)]) == [[1]]
    assert tracks_of(crowded, [shown(wide, beside)]) == [[-1, -1]]


@ALL
def test_no_age_ends_a_track_at_the_first_miss(name):
    """max-age=0 is the strictest: a frame without the object ends its track."""
    made = tracker(name, max_age=0)
    way = straight(6)
    assert tracks_of(made, [way[0], way[1], NOTHING, way[3], way[4]]) == [[-1], [1], [], [-1], [2]]


@ALL
def test_empty_frames_age_and_free(name):
    """Frames without objects give no rows, and all tracks end in time."""
    made = tracker(name, max_age=5)
    tracks_of(made, crowd(6))
    assert len(made.tracks)
    assert tracks_of(made, [NOTHING] * 7) == [[]] * 7
    assert len(made.tracks) == 0


@ALL
def test_a_reset_forgets_tracks_but_no_number(name):
    """After a reset the same object has a new number, one never given before."""
    made = tracker(name, min_hits=1)
    assert tracks_of(made, [boxes(LEFT, RIGHT)]) == [[1, 2]]
    made.reset()
    assert tracks_of(made, [boxes(LEFT)]) == [[3]]


@ALL
def test_a_track_stays_with_its_class(name):
    """An object of another class in the same place is another object, unless tracks go across classes."""
    frames = [boxes(LEFT, classes=[c]) for c in (0, 0, 1, 1, 0)]
    same = np.ones((1, 8), np.float32) / np.sqrt(8).astype(np.float32)
    apart, across = tracker(name), tracker(name, track_across_classes=True)
    assert [apart.update(f, same).tracks.tolist() for f in frames] == [[-1], [1], [-1], [2], [1]]
    assert [across.update(f, same).tracks.tolist() for f in frames] == [[-1], [1], [1], [1], [1]]


@ALL
def test_two_classes_in_one_place_are_two_tracks(name):
    """A box inside another class's box takes nothing from it: one assignment, with other classes shut out."""
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
    """A box without area, or that is none, never upsets the others and leaves no NaN behind."""
    made = tracker(name)
    odd = Detections(
        np.array([corners, [400, 400, 440, 440]], np.float32),
        np.full(2, 0.9, np.float32),
        np.zeros(2, np.int32),
    )
    with np.errstate(all="raise"):
        made_tracks = [made.update(odd, looks(0, 1)).tracks.tolist() for _ in range(4)]
    assert [row[1] > 0 for row in made_tracks] == [False, True, True, True]
    assert np.isfinite(made.tracks.state).all()


@ALL
def test_scores_that_are_no_numbers_are_not_followed(name):
    """A NaN score has no track."""
    made = tracker(name, min_hits=1)
    assert tracks_of(made, [boxes(LEFT, score=np.nan)]) == [[-1]]


@ALL
@pytest.mark.parametrize("steps", [0.0, -1.0, np.nan, np.inf, 0.5])
def test_odd_times_do_no_harm(name, steps):
    """No time, time that runs back or is no number leaves sound tracks."""
    made = tracker(name)
    frame = boxes(LEFT, RIGHT)
    for _ in range(3):
        found = made.update(frame, looks(0, 1), steps)
        assert np.isfinite(made.tracks.state).all()
    assert (found.tracks != 0).all()


def test_none_is_no_tracker():
    """tracker=none follows nothing; a name that is none is refused with those that are."""
    assert tracking.make(TrackingSettings(tracker="none")) is None
    with pytest.raises(ParameterError, match="bytetrack"):
        tracking.make(TrackingSettings(tracker="magic"))


def test_every_choice_of_the_parameter_is_there():
    """The parameter's choices are none and the trackers that there are."""
    from quadrat.parameters import PARAMETERS

    (choices,) = (p.choices for p in PARAMETERS if p.name == "tracker")
    assert set(choices) == {"none", *tracking.TRACKERS}


def test_only_deepsort_asks_for_looks():
    """The chain computes features only where they are used."""
    assert [name for name in tracking.TRACKERS if tracker(name).needs_features] == ["deepsort"]
