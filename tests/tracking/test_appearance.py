"""Embeddings of objects from their colours."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.tracking import appearance
from quadrat.tracking.appearance import embed
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

BOX = np.array([[0, 0, 40, 40]], np.float32)


def scene(
    colours: list[tuple[int, int, int]], seed: int = 0, light: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw objects of these colours in a row on grey, with noise; return picture and boxes."""
    rng = np.random.default_rng(seed)
    picture = np.full((160, 100 * len(colours), 3), 110.0)
    for place, colour in enumerate(colours):
        picture[30:130, 100 * place + 20 : 100 * place + 80] = colour
    picture = np.clip(picture * light + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
    return picture, np.array([[100 * i + 20, 30, 100 * i + 80, 130] for i in range(len(colours))], np.float32)


def test_colours_are_distinguished():
    """An object is by far most similar to itself in another frame, with other noise, light and box."""
    first = embed(*scene(COLOURS))
    picture, edges = scene(COLOURS, seed=1, light=1.1)
    cosine = first @ embed(picture, edges + np.array([3, -2, -2, 4], np.float32)).T
    assert np.diag(cosine).min() > 0.8
    assert (cosine - np.eye(len(COLOURS)) * 2).max() < 0.6


def test_the_layout_matters():
    """The same colours upside down give another embedding."""
    picture, edges = scene([COLOURS[0], COLOURS[0]])
    picture[30:80, 20:80], picture[80:130, 120:180] = COLOURS[2], COLOURS[2]
    one, two = embed(picture, edges)
    assert one @ two < 0.6


@given(st.lists(st.tuples(*[st.floats(-300, 900, width=32)] * 4), max_size=6))
@settings(max_examples=50, deadline=None)
def test_every_embedding_has_length_1(boxes):
    """Boxes outside the picture, without an area, or upside down have an embedding, too."""
    picture, _ = scene(COLOURS)
    found = embed(picture, np.array(boxes, np.float32).reshape(-1, 4))
    assert found.dtype == np.float32
    assert found.shape == (len(boxes), embed(picture, np.zeros((0, 4), np.float32)).shape[1])
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_boxes_that_are_not_finite_have_an_embedding(odd):
    """A coordinate that is NaN or infinite does no harm."""
    picture, edges = scene(COLOURS)
    edges[0, 2] = odd
    assert np.isfinite(embed(picture, edges)).all()


def test_an_embedding_does_not_depend_on_the_others():
    """An object has the same embedding alone and among others, and nearly the same in a larger picture."""
    picture, edges = scene(COLOURS)
    together = embed(picture, edges)
    assert np.array_equal(together, np.concatenate([embed(picture, box[None]) for box in edges]))
    large = np.repeat(np.repeat(picture, 4, axis=0), 4, axis=1)
    assert (embed(large, edges * 4) * together).sum(axis=1).min() > 0.95


def test_two_that_change_places_unseen_keep_their_numbers():
    """Drawn objects, embedded and tracked: after a gap, each has its number wherever it is."""
    made = tracker("deepsort")
    for frame in range(8):
        colours = COLOURS[:2] if frame < 5 else COLOURS[1::-1]
        picture, edges = scene(colours, seed=frame)
        found = boxes(*edges[:, :2].tolist(), side=60)
        tracked = made.update(found, embed(picture, edges), steps=1.0 if frame != 5 else 10.0).detections
        expected = [-1, -1] if frame == 0 else [1, 2] if frame < 5 else [2, 1]
        assert tracked.tracks.tolist() == expected


def test_the_margin_is_left_out():
    """A change in the outer tenth of a box does not matter; one further inside does."""
    picture, edges = scene(COLOURS[:1])
    expected = embed(picture, edges)
    x0, y0, x1, y1 = edges[0].astype(int)
    border = picture.copy()
    border[y0 : y0 + 10, x0:x1], border[y1 - 10 : y1, x0:x1] = COLOURS[2], COLOURS[3]
    border[y0:y1, x0 : x0 + 6], border[y0:y1, x1 - 6 : x1] = COLOURS[4], COLOURS[5]
    assert np.array_equal(embed(border, edges), expected)
    border[y0 + 10 : y0 + 13, x0:x1] = COLOURS[2]
    assert not np.allclose(embed(border, edges), expected, atol=0.05)


def test_a_small_shift_of_colour_is_a_small_change():
    """Votes are divided between neighbouring bins: a colour on a bin's edge does not jump."""
    values = [embed(np.full((40, 40, 3), (90 + n, 120, 110), np.uint8), BOX) for n in range(0, 60, 3)]
    steps = [float((one * two).sum()) for one, two in pairwise(values)]
    assert min(steps) > 0.85
    assert float((values[0] * values[-1]).sum()) < 0.75


def test_bands_lightness_and_colours_have_their_bins():
    """3 bands of 8 x 8 colours and 6 lightnesses; each band has the same weight, half of it for lightness."""
    found = embed(np.full((40, 40, 3), 255, np.uint8), BOX)[0] ** 2
    assert found.shape == (3 * (64 + 6),)
    bands = found.reshape(3, 70)
    assert bands.sum(axis=1) == pytest.approx([1 / 3] * 3, abs=1e-5)
    assert bands[:, :64].sum(axis=1) == pytest.approx([1 / 6] * 3, abs=1e-5)
    assert bands[:, 69] == pytest.approx([1 / 6] * 3, abs=1e-5)  # white is the last bin of lightness
    assert (bands[:, :64] > 0).sum() == 3 * 4  # grey lies between two bins on both colour axes


@pytest.mark.parametrize(
    ("colour", "place"), [((0, 255, 0), (0, 7)), ((0, 0, 255), (7, 0)), ((255, 0, 0), (7, 7))]
)
def test_strong_colours_are_in_the_outermost_bins(colour, place):
    """The first colour axis is green to red, the second blue to yellow; 48 units from grey is the end."""
    found = embed(np.full((40, 40, 3), colour, np.uint8), BOX)[0] ** 2
    colours = found.reshape(3, 70)[:, :64].reshape(3, 8, 8)
    assert colours[:, place[0], place[1]] == pytest.approx([1 / 6] * 3, abs=1e-5)


@pytest.mark.parametrize(
    "outside", [(-90, 10, -50, 40), (10, -90, 40, -50), (290, 10, 350, 40), (10, 290, 40, 350)]
)
def test_a_box_outside_has_the_nearest_pixels(outside):
    """It is described by the border of the picture on its side."""
    picture = np.full((100, 100, 3), 110, np.uint8)
    x0, y0, x1, y1 = np.clip(outside, 0, 100)
    x0, x1 = (0, 1) if x1 == 0 else (99, 100) if x0 == 100 else (x0, x1)
    y0, y1 = (0, 1) if y1 == 0 else (99, 100) if y0 == 100 else (y0, y1)
    picture[y0:y1, x0:x1] = COLOURS[0]
    same = embed(np.full((40, 40, 3), COLOURS[0], np.uint8), BOX)
    assert embed(picture, np.array([outside], np.float32)) == pytest.approx(same, abs=0.01)


def test_large_boxes_are_subsampled_before_they_are_resized(monkeypatch):
    """An embedding costs the same for a box of any size: no side that is resized has 128 pixels."""
    resized = []
    resize = cv2.resize

    def spy(crop: np.ndarray, *rest: object, **options: object) -> np.ndarray:
        resized.append(crop.shape[:2])
        return resize(crop, *rest, **options)

    monkeypatch.setattr(appearance.cv2, "resize", spy)
    picture = np.zeros((2160, 3840, 3), np.uint8)
    embed(picture, np.array([(0, 0, 3840, 2160), (0, 0, 150, 1000), (5, 5, 105, 135)], np.float32))
    assert [64 <= side < 128 for shape in resized[:2] for side in shape] == [True] * 4
    assert resized[2] == (104, 80)


def test_large_boxes_are_subsampled_evenly():
    """Bands of a large object keep their places."""
    picture = np.zeros((1200, 900, 3), np.uint8)
    picture[:400], picture[400:800], picture[800:] = COLOURS[:3]
    small = np.repeat(np.array(COLOURS[:3], np.uint8)[:, None], 30, axis=0).repeat(60, axis=1)
    whole = embed(picture, np.array([(0, 0, 900, 1200)], np.float32))
    assert float((whole * embed(small, np.array([(0, 0, 60, 90)], np.float32))).sum()) > 0.98
