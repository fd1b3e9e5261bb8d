"""Tiles cover a picture evenly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import ParameterError
from quadrat.transforms.tiles import plan, plan_masks

SIDES = st.integers(1, 300)
CUTS = st.integers(1, 120).flatmap(lambda tile: st.tuples(st.just(tile), st.integers(0, tile - 1)))


def starts(windows, axis: str) -> list[int]:
    """Give the distinct first pixels along an axis."""
    return sorted({getattr(w, axis) for w in windows})


@given(SIDES, SIDES, CUTS)
def test_every_pixel_is_in_a_tile_and_every_tile_in_the_picture(height, width, cut):
    """Nothing is left out, nothing lies outside, no tile comes twice."""
    seen = np.zeros((height, width), bool)
    windows = plan((height, width), *cut)
    for w in windows:
        assert 0 <= w.top
        assert w.bottom <= height
        assert 0 <= w.left
        assert w.right <= width
        seen[w.top : w.bottom, w.left : w.right] = True
    assert seen.all()
    assert len(set(windows)) == len(windows)


@given(SIDES, SIDES, CUTS)
def test_tiles_are_of_one_size_and_in_rows(height, width, cut):
    """Every tile is as large as asked for, or as the picture; they come row by row."""
    windows = plan((height, width), *cut)
    assert {(w.height, w.width) for w in windows} == {(min(cut[0], height), min(cut[0], width))}
    assert [(w.top, w.left) for w in windows] == sorted((w.top, w.left) for w in windows)


@given(SIDES, CUTS)
def test_neighbours_overlap_evenly_by_what_is_asked_for(side, cut):
    """All overlaps along an axis are equal to a pixel, and none is less than asked for."""
    tile, overlap = cut
    first = starts(plan((side, 3), tile, overlap), "top")
    overlaps = [a + tile - b for a, b in itertools.pairwise(first)]
    assert all(o >= overlap for o in overlaps)
    assert not overlaps or max(overlaps) - min(overlaps) <= 1


@given(SIDES, CUTS)
def test_there_are_as_few_tiles_as_possible(side, cut):
    """One tile fewer could not cover the side with that overlap."""
    tile, overlap = cut
    count = len(plan((1, side), tile, overlap))
    assert count == 1 or tile + (count - 2) * (tile - overlap) < side


def test_the_scene_of_the_facts_has_32_tiles():
    """A 4K frame in tiles of 640 with an overlap of 128 is 8 x 4 tiles."""
    windows = plan((2160, 3840), 640, 128)
    assert len(windows) == 32
    assert len(starts(windows, "left")) == 8


def test_peer_fault_uneven_overlap():
    """Three tiles over 900 pixels overlap by the 90 asked for, where the original's overlapped by 135."""
    windows = plan((360, 900), 360, 90)
    assert starts(windows, "left") == [0, 270, 540]
    assert [a.right - b.left for a, b in itertools.pairwise(windows)] == [90, 90]


def test_peer_fault_one_crop_larger_than_the_picture():
    """A picture that fits a tile is one tile of the picture's own size, whatever the overlap."""
    (window,) = plan((100, 100), 110, 10)
    assert (window.top, window.left, window.height, window.width) == (0, 0, 100, 100)


@pytest.mark.parametrize(("tile", "overlap"), [(64, 64), (64, 100), (64, -1), (0, 0)])
def test_an_overlap_that_leaves_nothing_is_refused(tile, overlap):
    """An overlap as large as the tile would never end."""
    with pytest.raises(ParameterError, match="cannot overlap"):
        plan((100, 100), tile, overlap)


def test_no_picture_has_no_tiles():
    """A picture without pixels is refused."""
    with pytest.raises(ParameterError, match="has no tiles"):
        plan((0, 5), 64, 0)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(65, 1024), st.floats(0, 0.9))
def test_tiles_for_masks_begin_on_the_grid(height: int, width: int, tile: int, share: float) -> None:
    """Law: all but the last of a row or column begin at multiples of 32, cover all and overlap as asked."""
    overlap = int(share * tile)
    windows = plan_masks((height, width), tile, overlap)
    for first, size, side in (("top", "height", height), ("left", "width", width)):
        begins = sorted({getattr(w, first) for w in windows})
        (length,) = {getattr(w, size) for w in windows}
        assert (begins[0], begins[-1] + length) == (0, side)
        assert all(b - a <= length - overlap for a, b in itertools.pairwise(begins)) or len(begins) == 1
        if tile - overlap >= 64:
            assert all(begin % 32 == 0 for begin in begins[:-1])


def test_tiles_that_would_run_for_days_are_refused() -> None:
    """An overlap close to the tile's size makes millions of tiles of one photograph."""
    with pytest.raises(ParameterError, match="1985261 tiles"):
        plan((3000, 4000), 640, 638)
