"""The weights of tiles sum to 1 and are 0 near seams; where tiles agree, the result is exact."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.geometry import HW, Window
from quadrat.tasks.segment.blend import Blend, divide
from quadrat.transforms.tiles import plan

SIDES = st.integers(1, 90)


@st.composite
def tilings(draw: st.DrawFn) -> tuple[HW, int, int]:
    """Draw an image's size, a tile's side and an overlap."""
    tile = draw(st.integers(1, 40))
    return (draw(SIDES), draw(SIDES)), tile, draw(st.integers(0, tile - 1))


def joined(hw: HW, windows: tuple[Window, ...], planes: list[np.ndarray]) -> np.ndarray:
    """Blend planes (K, h, w), one for each tile, into (K, H, W), initially NaN."""
    blend = Blend(windows, hw)
    out = np.full((len(planes[0]), *hw), np.nan, np.float32)
    for index, plane in enumerate(planes):
        share = blend.share(index)
        place = np.s_[:, share.top : share.bottom, share.left : share.right]
        assert np.isnan(out[place]).all(), "a pixel is finished twice"
        out[place] = blend.join(index, plane)
    return out


def weights(hw: HW, windows: tuple[Window, ...]) -> np.ndarray:
    """Return the weight (tiles, H, W) of every tile at every pixel, by blending one-hot tiles."""
    shape = (windows[0].height, windows[0].width)
    one_hot = np.eye(len(windows), dtype=np.float32)
    planes = [np.broadcast_to(row[:, None, None], (len(windows), *shape)) for row in one_hot]
    return joined(hw, windows, planes)


@given(tilings())
def test_weights_are_a_partition_of_unity(tiling: tuple[HW, int, int]) -> None:
    """At every pixel the weights are in 0..1 and sum to 1, and at most four tiles have one."""
    hw, tile, overlap = tiling
    windows = plan(hw, tile, overlap)
    if len(windows) > 60:
        return
    found = weights(hw, windows)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    assert found.min() >= 0
    assert (found > 0).sum(axis=0).max() <= 4


@given(tilings())
def test_a_tile_counts_nothing_within_a_quarter_of_the_overlap_of_a_seam(tiling: tuple[HW, int, int]) -> None:
    """The halo along every inner border has weight 0; along the picture's own border there is none."""
    (side, _), tile, overlap = tiling
    windows = plan((side, 1), tile, overlap)
    found = weights((side, 1), windows)[..., 0]
    for index, (a, b) in enumerate(pairwise(windows)):
        halo = (a.bottom - b.top) // 4
        assert not found[index, a.bottom - halo :].any()
        assert not found[index + 1, : b.top + halo].any()
    assert found[0, 0] == found[-1, -1] == 1


@given(tilings(), st.integers(0, 2**32 - 1))
def test_where_tiles_agree_nothing_is_rounded(tiling: tuple[HW, int, int], seed: int) -> None:
    """Tiles cut from one image of any numbers give that image back, to the last bit."""
    hw, tile, overlap = tiling
    picture = np.random.default_rng(seed).normal(0, 1e3, (2, *hw)).astype(np.float32)
    windows = plan(hw, tile, overlap)
    cuts = [picture[:, w.top : w.bottom, w.left : w.right] for w in windows]
    np.testing.assert_array_equal(joined(hw, windows, cuts), picture)


@given(tilings())
def test_without_fading_each_pixel_is_of_the_tile_that_it_lies_most_inside_of(
    tiling: tuple[HW, int, int],
) -> None:
    """The shares partition the image, and each pixel belongs to the tile in which it lies farthest from a border."""
    (side, _), tile, overlap = tiling
    windows = plan((side, 1), tile, overlap)
    blend = Blend(windows, (side, 1), soft=False)
    owner = np.full(side, -1)
    for index in range(len(windows)):
        share = blend.share(index)
        assert (owner[share.top : share.bottom] == -1).all()
        owner[share.top : share.bottom] = index
    rows = np.arange(side) + 0.5
    low = [np.where(w.top == 0, np.inf, rows - w.top) for w in windows]
    high = [np.where(w.bottom == side, np.inf, w.bottom - rows) for w in windows]
    inside = np.minimum(low, high)
    np.testing.assert_allclose(inside[owner, np.arange(side)], inside.max(axis=0), atol=1)


def test_hand_made_weights() -> None:
    """Two tiles of 8 that overlap by 4 have a halo of one pixel each, and the smoothstep between."""
    windows = (Window(0, 0, 1, 8), Window(0, 4, 1, 8))
    left = weights((1, 12), windows)[0, 0]
    step = [3 * u**2 - 2 * u**3 for u in (0.25, 0.75)]
    np.testing.assert_allclose(left, [1] * 5 + [1 - step[0], 1 - step[1]] + [0] * 5, atol=1e-6)


def test_memory_is_that_of_the_zones_along_one_row() -> None:
    """Only the zone that the next row fades into is kept, whatever the image's height."""
    hw, windows = (1000, 100), plan((1000, 100), 40, 16)
    blend = Blend(windows, hw)
    for index in range(len(windows)):
        blend.join(index, np.zeros((3, 40, 40), np.float32))
    assert blend._above is not None
    assert blend._above.shape == (3, 8, 100)


@pytest.mark.parametrize(
    ("starts", "side"), [((0, 12), 22), ((0, 5), 14), ((1, 5), 15), ((0, 5, 5), 15)], ids=str
)
def test_tiles_that_do_not_cover_an_axis_are_a_mistake(starts: tuple[int, ...], side: int) -> None:
    """A gap, an image longer than its tiles, or a wrong order is refused."""
    with pytest.raises(ValueError, match="tiles of 10"):
        divide(starts, 10, side, soft=True)


def test_tiles_must_be_a_grid_row_by_row() -> None:
    """Another order, or a missing tile, is refused before any tile is added."""
    windows = plan((20, 20), 10, 0)
    for wrong in (windows[::-1], windows[:3], (windows[0], windows[2], windows[1], windows[3])):
        with pytest.raises(ValueError, match="grid"):
            Blend(wrong, (20, 20))
