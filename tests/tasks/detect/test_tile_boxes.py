"""Close boxes are found without looking at all pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.tasks.detect import tile_boxes
from quadrat.tasks.detect.tile_boxes import TileBoxes, all_neighbours, visible_overlap

BOX = st.tuples(st.floats(0, 200), st.floats(0, 200), st.floats(0, 90), st.floats(0, 90), st.integers(0, 2))


@settings(deadline=None)
@given(st.lists(BOX, max_size=25), st.sampled_from([0.0, 3.5, 40.0]))
def test_near_is_every_pair_that_meets(drawn, margin):
    """The same pairs as comparing all boxes finds, each once."""
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in drawn]).reshape(-1, 4)
    classes = np.array([c for *_, c in drawn], np.intp)
    i, j = all_neighbours(boxes, classes, margin)
    due = {
        (a, b)
        for a, b in combinations(range(len(boxes)), 2)
        if classes[a] == classes[b] and _gap(boxes[a], boxes[b]) <= margin - 1e-6
    }
    allowed = {
        (a, b)
        for a, b in combinations(range(len(boxes)), 2)
        if classes[a] == classes[b] and _gap(boxes[a], boxes[b]) <= margin + 1e-6
    }
    listed = list(zip(i.tolist(), j.tolist(), strict=True))
    assert len(set(listed)) == len(listed)
    assert due <= set(listed) <= allowed


def _gap(a, b) -> float:
    """Return the larger of the gaps in x and y."""
    return float(max(np.max(a[:2] - b[2:]), np.max(b[:2] - a[2:])))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    """Pairs come in blocks, which bounds memory; all blocks together give the same pairs."""
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 300, (200, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 60, (200, 2))], axis=1)
    classes = np.zeros(200, np.intp)
    at_once = set(zip(*all_neighbours(boxes, classes, 1.0), strict=True))
    monkeypatch.setattr(tile_boxes, "BLOCK", 50)
    assert len(list(tile_boxes.neighbours(boxes, classes, 1.0))) > 10
    assert set(zip(*all_neighbours(boxes, classes, 1.0), strict=True)) == at_once


def test_overlap_is_measured_where_both_tiles_see():
    """A whole box and a fragment of 20 columns in the common strip: 10 of 20 columns agree, and two sides show."""
    windows = np.array([(0, 0, 100, 100), (80, 0, 180, 100)], np.float64)
    boxes = np.array([(85, 10, 95, 40), (80, 10, 120, 40)], np.float64)
    table = TileBoxes.of(boxes, np.full(2, 0.5), np.zeros(2, np.intp), windows, (100, 180))
    overlap = visible_overlap(table, np.array([0]), np.array([1]))

    assert table.cut.tolist() == [[False] * 4, [True, False, False, False]]
    assert (overlap.iou.tolist(), overlap.ios.tolist()) == ([0.5], [0.5])
    assert (overlap.cut.tolist(), overlap.sides.tolist()) == ([True], [2])
