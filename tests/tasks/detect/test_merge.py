"""One box for each object, whatever the tiles cut."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import ParameterError
from quadrat.predictions import Detections
from quadrat.tasks.detect.merge import METHODS, TileDetections, merge_tiles
from tests.tasks.detect.tiled import apart, found, look, rows, truth_rows

HW = (300, 500)
TILE, OVERLAP = 128, 32
SEEDS = st.integers(0, 2**32 - 1)
LEFT, RIGHT = (0.0, 0.0, 100.0, 100.0), (80.0, 0.0, 180.0, 100.0)
PAIR = (100, 180)
"""A picture of two tiles side by side that share 20 columns."""


def merged(left, right, method: str = "ios", classes=(None, None), scores=(None, None)) -> list[tuple]:
    """Merge the objects found in the two tiles of PAIR."""
    given_ = [
        TileDetections(found(b, c, s), w)
        for b, c, s, w in zip((left, right), classes, scores, (LEFT, RIGHT), strict=True)
    ]
    return rows(merge_tiles(given_, PAIR, method))


# ---- laws ---------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(SEEDS, st.sampled_from([(8, 30), (20, 90), (60, 290)]), st.sampled_from(METHODS))
def test_objects_apart_are_found_exactly(seed, sides, method):
    """Small, larger than the overlap or larger than a tile: cut objects are put together, and no others."""
    truth = apart(seed, HW, *sides, count=12)
    assert rows(merge_tiles(look(truth, HW, TILE, OVERLAP), HW, method)) == truth_rows(truth)


@settings(deadline=None)
@given(SEEDS, st.sampled_from(METHODS))
def test_the_order_of_tiles_and_boxes_changes_nothing(seed, method):
    """Tiles may arrive in any order; the bytes are the same."""
    rng = np.random.default_rng(seed)
    truth = apart(seed, HW, 8, 120, count=12)
    jitter = [TileDetections(_shaken(f.detections, rng), f.window) for f in look(truth, HW, TILE, OVERLAP)]
    turned = []
    for tile in rng.permutation(len(jitter)):
        one = jitter[tile]
        turned.append(TileDetections(one.detections[rng.permutation(len(one.detections))], one.window))
    first, second = merge_tiles(jitter, HW, method), merge_tiles(turned, HW, method)
    for name in ("boxes", "scores", "classes"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


@settings(deadline=None)
@given(SEEDS, st.sampled_from(METHODS), st.floats(0, 1))
def test_merging_never_adds_and_stays_inside(seed, method, threshold):
    """There are at most as many objects as boxes, as long as one of each class, all finite and inside."""
    rng = np.random.default_rng(seed)
    every = []
    for one in look(apart(seed, HW, 4, 250, count=15, gap=0), HW, TILE, OVERLAP):
        shaken = _shaken(one.detections, rng)
        classes = rng.integers(0, 3, len(shaken)).astype(np.int32)
        every.append(TileDetections(Detections(shaken.boxes, shaken.scores, classes), one.window))
    result = merge_tiles(every, HW, method, threshold)
    assert len(result) <= sum(len(f.detections) for f in every)
    assert set(result.classes) == {c for f in every for c in f.detections.classes}
    assert np.isfinite(result.boxes).all()
    assert (result.boxes >= 0).all()
    assert (result.boxes <= np.tile(HW[::-1], 2)).all()
    assert (np.diff(result.scores) <= 0).all()


def _shaken(detections: Detections, rng: np.random.Generator) -> Detections:
    """Move every side by up to two pixels, inside the picture, and draw scores."""
    boxes = detections.boxes + rng.uniform(-2, 2, detections.boxes.shape)
    boxes = np.clip(boxes, 0, np.tile(HW[::-1], 2)).astype(np.float32)
    return Detections(boxes, rng.uniform(0.3, 1, len(boxes)).astype(np.float32), detections.classes)


# ---- what peers do wrong ------------------------------------------------------------------------------------


def test_peer_fault_class_agnostic_merge_keeps_one_of_two():
    """Two objects of different classes at the same place are two."""
    both = [(85, 10, 95, 30), (85, 10, 95, 30)]
    assert merged(both, both, classes=([0, 1], [0, 1])) == truth_rows(both, [0, 1])


@pytest.mark.parametrize("method", METHODS)
def test_peer_fault_fragments_at_a_seam_stay(method):
    """A fragment of 5 of 60 pixels has a tiny IoU with the object, but is merged all the same."""
    assert merged([(45, 10, 100, 40)], [(80, 10, 105, 40)], method) == truth_rows([(45, 10, 105, 40)])
    assert merged([(25, 10, 85, 40)], [(80, 10, 85, 40)], method) == truth_rows([(25, 10, 85, 40)])


@pytest.mark.parametrize("method", METHODS)
def test_peer_fault_nested_objects_are_swallowed(method):
    """A small object of the same class inside a large one stays, cut by a seam or not."""
    truth = [(20, 10, 160, 90), (60, 20, 75, 40), (84, 40, 96, 60), (92, 65, 120, 80)]
    assert rows(merge_tiles(look(truth, PAIR, 100, 20), PAIR, method)) == truth_rows(truth)


@pytest.mark.parametrize("method", METHODS)
def test_touching_objects_of_one_class_stay_apart(method):
    """A wall of equal bricks across the seam keeps every brick, side by side and one above the other."""
    truth = [(x, y, x + 30, y + 20) for x in range(0, 180, 30) for y in (10, 30, 50)]
    assert rows(merge_tiles(look(truth, PAIR, 100, 20), PAIR, method)) == truth_rows(truth)


def test_neighbours_of_the_same_size_are_not_one():
    """Two whole objects beside each other, each missed by the other's tile, are two."""
    assert len(merged([(80, 10, 90, 30)], [(90, 10, 100, 30)])) == 2
    assert len(merged([(82, 10, 88, 30)], [(90, 10, 96, 30)])) == 2


# ---- what tiles do ------------------------------------------------------------------------------------------


def test_what_two_tiles_see_whole_is_kept_from_the_surer_one():
    """The better box is kept as it is; wbf takes the mean weighted by score."""
    left, right, scores = [(84, 10, 94, 30)], [(85, 11, 95, 31)], ([0.6], [0.9])
    assert merged(left, right, "ios", scores=scores) == truth_rows(right)
    assert merged(left, right, "iou", scores=scores) == truth_rows(right)
    ((x0, y0, x1, y1, _),) = merged(left, right, "wbf", scores=scores)
    assert (x0, y0, x1, y1) == pytest.approx((84.6, 10.6, 94.6, 30.6))


def test_the_score_is_the_best_of_what_was_joined():
    """A whole box takes the score of a fragment with a higher one."""
    result = merge_tiles(
        [
            TileDetections(found([(40, 10, 90, 40)], scores=[0.5]), LEFT),
            TileDetections(found([(80, 10, 90, 40)], scores=[0.8]), RIGHT),
        ],
        PAIR,
    )
    assert result.scores.tolist() == [np.float32(0.8)]
    assert rows(result) == truth_rows([(40, 10, 90, 40)])


def test_fragments_of_an_object_larger_than_the_overlap_become_its_union():
    """No tile sees it whole; its fragments agree in the strip between the seams."""
    truth = [(10, 10, 170, 90)]
    assert rows(merge_tiles(look(truth, PAIR, 100, 20), PAIR)) == truth_rows(truth)


def test_a_chain_of_tiles_and_a_corner_of_four():
    """A long object across five tiles, and one that four tiles see a quarter of each."""
    truth = [(5, 40, 495, 60), (70, 70, 150, 150)]
    assert rows(merge_tiles(look(truth, HW, TILE, OVERLAP), HW)) == truth_rows(truth)


def test_large_objects_that_cross_each_other_stay_apart():
    """A box in a tile that shows no side of the object would agree with anything, so it is joined to nothing."""
    truth = [(10, 110, 290, 300), (100, 40, 190, 190), (0, 120, 230, 250)]
    assert rows(merge_tiles(look(truth, (300, 300), 100, 20), (300, 300))) == truth_rows(truth)


def test_a_tile_that_an_object_fills_adds_no_box():
    """Inside a large object a tile sees no side of it."""
    truth = [(5, 5, 495, 295)]
    assert any(f.detections.boxes.tolist() == [list(f.window)] for f in look(truth, HW, TILE, OVERLAP))
    assert rows(merge_tiles(look(truth, HW, TILE, OVERLAP), HW)) == truth_rows(truth)


def test_without_overlap_fragments_meet_at_the_seam():
    """Fragments in tiles that only touch are one object if their other sides agree."""
    truth = [(40, 10, 160, 60), (90, 70, 110, 90)]
    assert rows(merge_tiles(look(truth, (100, 200), 100, 0), (100, 200))) == truth_rows(truth)


def test_a_slanted_object_is_one_by_ios():
    """The next tile sees the tip of a diagonal object, a small part of its box; ios merges it, iou does not."""
    body, tip = [(20, 0, 96, 80)], [(80, 64, 96, 80)]
    assert merged(body, tip, "ios") == truth_rows(body)
    assert merged(body, tip, "wbf") == truth_rows(body)
    assert len(merged(body, tip, "iou")) == 2


def test_a_lone_fragment_stays():
    """A fragment that only one tile shows is kept as it is."""
    assert merged([(60, 10, 100, 40)], []) == truth_rows([(60, 10, 100, 40)])


def test_boxes_of_one_tile_are_never_joined():
    """A tile that found two boxes saw two objects, however much they overlap."""
    both = [(60, 10, 100, 40), (61, 10, 100, 41)]
    assert len(merged(both, [])) == 2


def test_a_second_fragment_of_an_object_goes_with_it():
    """A tile may show two arms of one object; an arm that no other tile confirms is not a separate object."""
    body, arms = [(20, 10, 110, 70)], [(80, 10, 110, 70), (80, 10, 108, 25)]
    assert merged(body, arms) == truth_rows(body)
    assert merged([*body, (70, 10, 100, 25)], arms) == truth_rows([*body, (70, 10, 108, 25)])


def test_borders_of_the_picture_are_no_seams():
    """An object at the image's border is not a fragment."""
    assert merged([(0, 0, 40, 100)], [(140, 0, 180, 100)]) == truth_rows(
        [(0, 0, 40, 100), (140, 0, 180, 100)]
    )


@pytest.mark.parametrize("method", METHODS)
def test_nothing_found_is_nothing(method):
    """No tiles, and tiles without objects."""
    assert len(merge_tiles([], PAIR, method)) == 0
    assert (
        len(
            merge_tiles(
                [TileDetections(Detections.none(), LEFT), TileDetections(Detections.none(), None)],
                PAIR,
                method,
            )
        )
        == 0
    )


def test_boxes_that_are_no_boxes_are_left_out():
    """NaN, infinity, boxes without area, and boxes outside their tile."""
    nan, inf = float("nan"), float("inf")
    bad = [(nan, 0, 5, 5), (0, 0, inf, 5), (5, 5, 5, 9), (9, 9, 5, 5), (150, 5, 170, 20), (1, 1, 9, 9)]
    assert merged(bad, [], scores=([0.5] * 5 + [nan], None)) == []


def test_an_unknown_method_is_refused():
    """The error lists the methods."""
    with pytest.raises(ParameterError, match="no method 'nms'"):
        merge_tiles([], PAIR, "nms")


def test_five_thousand_boxes_take_a_tenth_of_a_second():
    """A third of the boxes are fragments; the fastest of three runs counts, in CPU time."""
    rng = np.random.default_rng(0)
    hw = (2160, 3840)
    sides = rng.integers(16, 131, (2700, 2))
    corners = (rng.random((2700, 2)) * (np.array(hw[::-1]) - sides)).astype(int)
    every = look(np.concatenate([corners, corners + sides], axis=1), hw, 640, 128)
    assert sum(len(f.detections) for f in every) > 5000
    times = []
    for _ in range(3):
        begin = process_time()
        merge_tiles(every, hw)
        times.append(process_time() - begin)
    assert min(times) < 0.1


def test_a_threshold_of_0_joins_nothing_that_does_not_overlap():
    """Two whole objects near each other stay two at any threshold."""
    pair = [TileDetections(found([(82, 10, 88, 30)]), LEFT), TileDetections(found([(89, 10, 95, 30)]), RIGHT)]
    assert len(merge_tiles(pair, PAIR, "ios", 0.0)) == 2


def test_a_fragment_that_leaves_the_object_stays():
    """A part of an object lies inside it, up to three pixels; this one begins 4 pixels above it."""
    body, arms = [(20, 10, 110, 70)], [(80, 10, 110, 70), (80, 6, 108, 25)]
    assert merged(body, arms) == truth_rows([*body, arms[1]])


@pytest.mark.parametrize("off", [0, 1, 2, 3])
def test_a_second_fragment_need_not_lie_inside_to_the_pixel(off):
    """Real detectors err by a few pixels, and would leave such fragments at seams."""
    body, arms = [(20, 10, 110, 70)], [(80, 10, 110, 70), (80, 10 - off, 108, 25)]
    assert merged(body, arms) == truth_rows(body)


def test_fragments_that_end_just_before_a_seam_meet():
    """Boxes are not exact to the pixel, so a fragment need not touch its tile's border."""
    left, right = (0.0, 0.0, 100.0, 100.0), (100.0, 0.0, 200.0, 100.0)
    pair = [
        TileDetections(found([(40, 10, 98.5, 60)]), left),
        TileDetections(found([(101, 10, 160, 60)]), right),
    ]
    assert rows(merge_tiles(pair, (100, 200))) == truth_rows([(40, 10, 160, 60)])


def test_the_longer_a_box_the_less_exact_its_end():
    """A box of 80 pixels that ends 4 pixels before the seam is a fragment; one of 20 pixels is whole."""
    assert merged([(16, 10, 96, 40)], [(80, 10, 120, 40)]) == truth_rows([(16, 10, 120, 40)])
    assert merged([(76, 10, 96, 20)], [(80, 10, 96, 20)]) == truth_rows([(76, 10, 96, 20)])


def test_a_small_object_does_not_agree_with_a_fragment_around_it():
    """The share is that of the fragment, which a small whole box covers only in part."""
    assert len(merged([(20, 10, 100, 90)], [(84, 40, 96, 60)])) == 2
