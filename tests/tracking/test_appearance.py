"""What objects look like."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.tracking.appearance import describe
from tests.tracking.scenes import boxes, tracker

COLOURS = [
    (200, 60, 60),
    (60, 200, 60),
    (60, 60, 200),
    (220, 210, 60),
    (200, 90, 200),
    (230, 230, 230),
    (40, 40, 40),
]


def scene(
    colours: list[tuple[int, int, int]], seed: int = 0, light: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw objects of these colours in a row on grey, with noise; picture and boxes."""
    rng = np.random.default_rng(seed)
    picture = np.full((160, 100 * len(colours), 3), 110.0)
    for place, colour in enumerate(colours):
        picture[30:130, 100 * place + 20 : 100 * place + 80] = colour
    picture = np.clip(picture * light + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
    return picture, np.array([[100 * i + 20, 30, 100 * i + 80, 130] for i in range(len(colours))], np.float32)


def test_colours_are_told_apart():
    """An object in another frame is most like itself, by far: other noise, a box off by some pixels, other light."""
    first = describe(*scene(COLOURS))
    picture, edges = scene(COLOURS, seed=1, light=1.1)
    cosine = first @ describe(picture, edges + np.array([3, -2, -2, 4], np.float32)).T
    assert np.diag(cosine).min() > 0.8
    assert (cosine - np.eye(len(COLOURS)) * 2).max() < 0.6


def test_the_layout_tells_too():
    """The same colours upside down are another look."""
    picture, edges = scene([COLOURS[0], COLOURS[0]])
    picture[30:80, 20:80], picture[80:130, 120:180] = COLOURS[2], COLOURS[2]
    one, two = describe(picture, edges)
    assert one @ two < 0.6


@given(st.lists(st.tuples(*[st.floats(-300, 900, width=32)] * 4), max_size=6))
@settings(max_examples=50, deadline=None)
def test_every_box_has_a_look_of_length_one(boxes):
    """Boxes outside, without area, or upside down are described too."""
    picture, _ = scene(COLOURS)
    found = describe(picture, np.array(boxes, np.float32).reshape(-1, 4))
    assert found.dtype == np.float32
    assert found.shape == (len(boxes), describe(picture, np.zeros((0, 4), np.float32)).shape[1])
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_boxes_that_are_none_do_no_harm(odd):
    """A coordinate that is no number gives a look all the same."""
    picture, edges = scene(COLOURS)
    edges[0, 2] = odd
    assert np.isfinite(describe(picture, edges)).all()


def test_a_look_does_not_hang_on_the_others():
    """Alone or among others, an object is described the same; so is a large picture's one."""
    picture, edges = scene(COLOURS)
    together = describe(picture, edges)
    assert np.array_equal(together, np.concatenate([describe(picture, box[None]) for box in edges]))
    large = np.repeat(np.repeat(picture, 4, axis=0), 4, axis=1)
    assert (describe(large, edges * 4) * together).sum(axis=1).min() > 0.95


def test_two_that_change_places_unseen_are_known_by_their_colours():
    """Drawn objects through the descriptor and the tracker: after a gap each has its number, wherever it is."""
    made = tracker("deepsort")
    for frame in range(8):
        colours = COLOURS[:2] if frame < 5 else COLOURS[1::-1]
        picture, edges = scene(colours, seed=frame)
        found = boxes(*edges[:, :2].tolist(), side=60)
        followed = made.update(found, describe(picture, edges), steps=1.0 if frame != 5 else 10.0)
        expected = [-1, -1] if frame == 0 else [1, 2] if frame < 5 else [2, 1]
        assert followed.tracks.tolist() == expected


def test_it_is_cheap():
    """A look is far cheaper than a network: well under a millisecond of CPU each."""
    picture = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), np.uint8)
    low = np.random.default_rng(1).uniform(0, 900, (100, 2))
    boxes = np.concatenate([low, low + 120], axis=1).astype(np.float32)
    describe(picture, boxes)
    begin = time.process_time()
    describe(picture, boxes)
    assert (time.process_time() - begin) / 100 < 1e-3
