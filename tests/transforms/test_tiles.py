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
    """Return the distinct first pixels along an axis."""
    return sorted({getattr(w, axis) for w in windows})


@given(SIDES, SIDES, CUTS)
def test_every_pixel_is_in_a_tile_and_every_tile_in_the_picture(height, width, cut):
    """No pixel is missing, no tile lies outside, and no tile occurs twice."""
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
    """Every tile has the requested size, or the picture's if that is smaller; tiles are in row order."""
    windows = plan((height, width), *cut)
    assert {(w.height, w.width) for w in windows} == {(min(cut[0], height), min(cut[0], width))}
    assert [(w.top, w.left) for w in windows] == sorted((w.top, w.left) for w in windows)


@given(SIDES, CUTS)
def test_neighbours_overlap_evenly_by_at_least_the_overlap(side, cut):
    """Overlaps along an axis differ by at most one pixel, and none is less than requested."""
    tile, overlap = cut
    first = starts(plan((side, 3), tile, overlap), "top")
    overlaps = [a + tile - b for a, b in itertools.pairwise(first)]
    assert all(o >= overlap for o in overlaps)
    assert not overlaps or max(overlaps) - min(overlaps) <= 1


@given(SIDES, CUTS)
def test_there_are_as_few_tiles_as_possible(side, cut):
    """One tile fewer would not cover the side with this overlap."""
    tile, overlap = cut
    count = len(plan((1, side), tile, overlap))
    assert count == 1 or tile + (count - 2) * (tile - overlap) < side


def test_the_scene_of_the_facts_has_32_tiles():
    """A 4K frame in tiles of 640 with an overlap of 128 is 8 x 4 tiles."""
    windows = plan((2160, 3840), 640, 128)
    assert len(windows) == 32
    assert len(starts(windows, "left")) == 8


def test_peer_fault_uneven_overlap():
    """Three tiles over 900 pixels overlap by the requested 90; the original's overlapped by 135."""
    windows = plan((360, 900), 360, 90)
    assert starts(windows, "left") == [0, 270, 540]
    assert [a.right - b.left for a, b in itertools.pairwise(windows)] == [90, 90]


def test_peer_fault_one_crop_larger_than_the_picture():
    """A picture that fits a tile is one tile of the picture's own size, whatever the overlap."""
    (window,) = plan((100, 100), 110, 10)
    assert (window.top, window.left, window.height, window.width) == (0, 0, 100, 100)


@pytest.mark.parametrize(("tile", "overlap"), [(64, 64), (64, 100), (64, -1), (0, 0)])
def test_an_overlap_that_leaves_nothing_is_refused(tile, overlap):
    """With an overlap as large as the tile, tiling would never end."""
    with pytest.raises(ParameterError, match="cannot overlap"):
        plan((100, 100), tile, overlap)


def test_a_picture_without_pixels_is_refused():
    """A picture with a side of 0 has no tiles."""
    with pytest.raises(ParameterError, match="has no tiles"):
        plan((0, 5), 64, 0)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(65, 1024), st.floats(0, 0.9))
def test_tiles_for_masks_begin_on_the_grid(height: int, width: int, tile: int, share: float) -> None:
    """All but the last of a row or column start at multiples of 32, and all cover and overlap as requested."""
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
    """An overlap close to the tile size would give millions of tiles per photograph."""
    with pytest.raises(ParameterError, match="1985261 tiles"):
        plan((3000, 4000), 640, 638)


def test_tiles_that_advance_by_twice_the_grid_start_on_it() -> None:
    """The grid is used from a step of 64 pixels on, and not below."""
    aligned, free = (starts(plan_masks((96, 1000), tile, 32), "left")[:-1] for tile in (96, 95))
    assert all(left % 32 == 0 for left in aligned)
    assert any(left % 32 for left in free)
