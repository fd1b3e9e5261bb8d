"""The whole frame adds objects that tiles cannot show, and removes none."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.tasks.detect.merge import TileDetections, merge_tiles
from tests.tasks.detect.tiled import apart, found, look, rows, truth_rows, whole

HW = (300, 500)
TILE, OVERLAP = 128, 32
PIXEL = 500 / TILE
"""Pixels of the frame per pixel of the network's input, if the network sees the whole frame."""


def blurred(truth, rng: np.random.Generator) -> np.ndarray:
    """Move each side by up to one and a half of the network's pixels."""
    boxes = np.array(truth, float).reshape(-1, 4) + rng.uniform(-1.5, 1.5, (len(truth), 4)) * PIXEL
    boxes = np.clip(boxes, 0, np.tile(HW[::-1], 2))
    return boxes[((boxes[:, 2:] - boxes[:, :2]) > 1).all(axis=1)]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(10, 30), (20, 90), (60, 290)]))
def test_sharp_boxes_of_tiles_win_over_blurred_ones(seed, sides):
    """SAHI's default replaces exact boxes by their union with coarse ones (recall 0.64 at an IoU of 0.9)."""
    truth = apart(seed, HW, *sides, count=12)
    every = [*look(truth, HW, TILE, OVERLAP), whole(blurred(truth, np.random.default_rng(seed)))]
    assert rows(merge_tiles(every, HW)) == truth_rows(truth)


def test_what_only_the_whole_picture_shows_stays():
    """A large object that the network does not recognise in tiles, with small ones of its class inside, is kept."""
    small, large = [(100, 100, 120, 120), (200, 150, 230, 170)], (40, 40, 460, 280)
    every = [*look(small, HW, TILE, OVERLAP), whole([large])]
    assert rows(merge_tiles(every, HW)) == truth_rows([*small, large])


def test_a_small_object_that_tiles_missed_stays():
    """No object of a tile contradicts it."""
    assert rows(merge_tiles([*look([], HW, TILE, OVERLAP), whole([(50, 50, 80, 80)])], HW)) == truth_rows(
        [(50, 50, 80, 80)]
    )


def test_other_classes_explain_nothing():
    """The same place in another class is another object."""
    every = [*look([(50, 50, 80, 80)], HW, TILE, OVERLAP, classes=[1]), whole([(50, 50, 80, 80)])]
    assert len(merge_tiles(every, HW)) == 2


def test_a_blur_of_several_neighbours_goes():
    """The whole frame shows a row of objects as one box, which is dropped."""
    row = [(x, 50, x + 19, 70) for x in range(20, 120, 20)]
    assert rows(merge_tiles([*look(row, HW, TILE, OVERLAP), whole([(18, 48, 121, 73)])], HW)) == truth_rows(
        row
    )
    long = [(x, 50, x + 19, 70) for x in range(20, 420, 20)]
    assert rows(merge_tiles([*look(long, HW, TILE, OVERLAP), whole([(18, 48, 421, 73)])], HW)) == truth_rows(
        long
    )


def test_fragments_go_into_the_box_that_shows_the_whole():
    """Tiles show both ends of a long object but not its middle: it is one box, with the ends of the tiles."""
    first, *_, last = (f for f in look([(10, 20, 490, 60)], HW, TILE, OVERLAP) if len(f.detections))
    tiles = look([], HW, TILE, OVERLAP)
    tiles = [f for f in tiles if f.window not in (first.window, last.window)]
    result = merge_tiles([first, last, *tiles, whole([(14, 17, 485, 63)], scores=[0.4])], HW)
    assert rows(result) == truth_rows([(10, 20, 490, 60)])
    assert result.scores.tolist() == [np.float32(0.9)]


def test_a_fragment_of_another_object_stays():
    """A fragment whose visible sides do not agree with the large box is another object."""
    tiles = look([], HW, TILE, OVERLAP)
    piece = (60.0, 30.0, 128.0, 50.0)
    tiles[0] = TileDetections(found([piece]), tiles[0].window)
    result = merge_tiles([*tiles, whole([(10, 10, 480, 280)])], HW)
    assert rows(result) == truth_rows([piece, (10, 10, 480, 280)])


def test_the_whole_picture_alone_is_what_it_is():
    """Without tiles nothing is merged."""
    boxes = [(1, 2, 30, 40), (2, 2, 30, 41)]
    assert rows(merge_tiles([whole(boxes)], HW)) == truth_rows(boxes)


def test_a_box_two_network_pixels_off_is_the_same_object():
    """The whole frame is seen at a quarter of the resolution here, so 7 pixels are under two of the network's."""
    small = [(100, 100, 110, 110)]
    every = [*look(small, HW, TILE, OVERLAP), whole([(93, 93, 117, 117)])]
    assert rows(merge_tiles(every, HW)) == truth_rows(small)


def test_a_large_object_stays_behind_the_small_ones_on_it():
    """They cover 0.6 of it, which would drop a box that fits a tile."""
    bricks = [(x, y, x + 38, y + 38) for x in range(50, 455, 58) for y in (50, 120, 190)]
    large = (40, 40, 460, 280)
    every = [*look(bricks, HW, TILE, OVERLAP), whole([large])]
    assert rows(merge_tiles(every, HW)) == truth_rows([*bricks, large])


def test_a_large_box_that_agrees_with_an_object_of_tiles_goes():
    """They agree by 0.6, although the object covers less than the share that a large box would need."""
    long = [(10, 20, 490, 60)]
    every = [*look(long, HW, TILE, OVERLAP), whole([(10, 20, 490, 100)])]
    assert rows(merge_tiles(every, HW)) == truth_rows(long)


def test_a_fragment_goes_to_the_box_that_it_agrees_with_best():
    """The other box keeps its own sides and score."""
    tiles = look([], HW, TILE, OVERLAP)
    tiles[0] = TileDetections(found([(10, 20, 128, 60)]), tiles[0].window)
    boxes = [(10, 20, 485, 90), (12, 20, 485, 60)]
    result = merge_tiles([*tiles, whole(boxes, scores=[0.4, 0.3])], HW)
    assert result.boxes.tolist() == [[10, 20, 485, 60], [10, 20, 485, 90]]
    assert result.scores.tolist() == [np.float32(0.9), np.float32(0.4)]


def test_fragments_do_not_speak_against_the_box_that_they_complete():
    """All tiles but the middle one saw the object, so that its fragments nearly cover the box of the whole."""
    long = (10, 20, 490, 60)
    tiles = look([long], HW, TILE, OVERLAP)
    middle = [t for t in tiles if t.window is not None and t.window[0] == 186]
    seen = [t if t not in middle else TileDetections(found([]), t.window) for t in tiles]
    assert rows(merge_tiles([*seen, whole([(13, 22, 486, 58)])], HW)) == truth_rows([long])
