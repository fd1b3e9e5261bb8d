"""Objects of which only a part is seen: cut off by the picture's border, by a rock, or by each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat import tracking
from quadrat.tracking.body import excess, remember, within
from quadrat.types import Detections
from tests.tracking.scenes import looks, tracker

ALL = pytest.mark.parametrize("name", tracking.TRACKERS)
SIDES = ("left", "right", "top", "bottom")
WIDTH, HEIGHT = 640, 400
ROCK = (260.0, 100.0, 360.0, 300.0)
SMALLEST = 4.0
"""Pixels of a part that is seen at all."""
Box = tuple[float, float, float, float]


def moving(frame: int, start: tuple[float, float], speed: float, size: tuple[float, float] = (60, 40)) -> Box:
    """Place an object that goes to the right, or to the left where `speed` is under zero."""
    x = start[0] + speed * frame
    return x, start[1], x + size[0], start[1] + size[1]


def shown(box: Box, rock: Box | None = None) -> Box | None:
    """Cut a box at the border and at a rock as high as it; None where less is seen than a detector finds."""
    x0, y0, x1, y1 = max(0.0, box[0]), max(0.0, box[1]), min(WIDTH, box[2]), min(HEIGHT, box[3])
    if rock and y0 < rock[3] and y1 > rock[1]:
        left, right = (x0, min(x1, rock[0])), (max(x0, rock[2]), x1)
        x0, x1 = max(left, right, key=lambda side: side[1] - side[0])
    return (x0, y0, x1, y1) if min(x1 - x0, y1 - y0) >= SMALLEST else None


def numbers(name: str, frames: Sequence[Sequence[Box | None]], kinds: Sequence[int]) -> list[set[int]]:
    """Follow objects, each with a look by its kind, and give all numbers that each had."""
    made, had = tracker(name), [set[int]() for _ in kinds]
    for boxes in frames:
        there = [i for i, box in enumerate(boxes) if box is not None]
        rows = np.array([boxes[i] for i in there], np.float32).reshape(-1, 4)
        seen = Detections(rows, np.full(len(rows), 0.9, np.float32), np.zeros(len(rows), np.int32))
        found = made.update(seen, looks(*(kinds[i] for i in there))).tracks
        for i, number in zip(there, found.tolist(), strict=True):
            had[i] |= {number} - {-1}
    return had


def turned(box: Box | None, side: str) -> Box | None:
    """Turn what comes in from the left so that it comes in from another side."""
    if box is None:
        return None
    x0, y0, x1, y1 = box
    return {
        "left": box,
        "right": (WIDTH - x1, y0, WIDTH - x0, y1),
        "top": (y0, x0, y1, x1),
        "bottom": (y0, WIDTH - x1, y1, WIDTH - x0),
    }[side]


@ALL
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("pace", [3, 10, 16])
def test_who_comes_in_and_goes_out_at_a_border_keeps_its_number(name, side, pace):
    """It grows from a sliver to the whole, goes on, and shrinks to a sliver: one number."""
    frames = [[turned(shown(moving(f, (-58, 150), pace)), side)] for f in range(700 // pace)]
    assert numbers(name, frames, [0]) == [{1}]


@ALL
@pytest.mark.parametrize("pace", [6, -6, 10, -10])
def test_who_goes_behind_a_rock_and_comes_out_keeps_its_number(name, pace):
    """It shrinks at the rock, is hidden for a while, and comes out on the other side from a sliver to the whole."""
    start = (20.0 if pace > 0 else 540.0, 150.0)
    frames = [[shown(moving(f, start, pace), ROCK)] for f in range(520 // abs(pace))]
    hidden = sum(frame[0] is None for frame in frames)
    assert 3 < hidden < 30
    assert numbers(name, frames, [0]) == [{1}]


@ALL
@pytest.mark.parametrize("kinds", [(0, 1), (0, 0)])
def test_a_passer_by_does_not_take_the_number_of_the_hidden(name, kinds):
    """One goes past before the rock, the other way, while another is behind it; they may look the same."""
    frames = [
        [shown(moving(f, (20, 150), 6), ROCK), shown(moving(f, (560, 170), -7, (50, 60)))] for f in range(80)
    ]
    assert any(one is None for one, _ in frames)
    assert numbers(name, frames, kinds) == [{1}, {2}]


@ALL
def test_a_newcomer_elsewhere_does_not_take_the_number_of_the_hidden(name):
    """One that comes in at the border while another is behind the rock is another."""
    late = [None] * 42
    frames = [
        [shown(moving(f, (20, 150), 6), ROCK), (late[f : f + 1] or [shown(moving(f - 42, (-58, 150), 6))])[0]]
        for f in range(75)
    ]
    assert numbers(name, frames, [0, 0]) == [{1}, {2}]


@ALL
def test_one_that_is_covered_by_another_keeps_its_number(name):
    """Who stands still shrinks and grows while a larger one passes before it; both keep their numbers."""
    frames = []
    for f in range(60):
        passing = moving(f, (40, 120), 7, (50, 120))
        frames.append([shown((300, 150, 360, 190), passing), passing])
    assert numbers(name, frames, [0, 1]) == [{1}, {2}]


def boxes_within(bodies: np.ndarray, cuts: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Cut one edge on each axis of bodies (N, 4) by shares (N, 2)."""
    cut = bodies.copy()
    for axis in (0, 1):
        side = bodies[:, axis + 2] - bodies[:, axis]
        low = edges[:, axis]
        cut[:, axis] += np.where(low, cuts[:, axis] * side, 0)
        cut[:, axis + 2] -= np.where(low, 0, cuts[:, axis] * side)
    return cut


@given(st.integers(0, 2**32 - 1))
def test_a_part_is_no_distance_off(seed):
    """Whatever is cut off at one edge of each axis: it is a part, lies within, and the body stays where it is."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 500, (8, 2))
    bodies = np.concatenate([low, low + rng.uniform(20, 200, (8, 2))], axis=1)
    parts = boxes_within(bodies, rng.uniform(0.2, 0.9, (8, 2)), rng.random((8, 2)) < 0.5)
    assert excess(bodies, parts, np.ones((8, 4))) == pytest.approx(0)
    assert np.diagonal(within(bodies, parts)) == pytest.approx(1)
    kept, cut = remember(bodies, parts)
    assert kept == pytest.approx(bodies)
    assert cut.all()


@given(st.integers(0, 2**32 - 1))
def test_what_is_outside_is_off(seed):
    """A box that reaches over the body on one side is off by as much, and the body grows towards it."""
    rng = np.random.default_rng(seed)
    body, over = np.array([[100.0, 100, 200, 200]]), rng.uniform(1, 50)
    box = body + np.eye(4)[[2]] * over
    assert excess(body, box, np.full((1, 4), 2.0)) == pytest.approx([(over / 2) ** 2])
    kept, cut = remember(body, box)
    assert (kept[:, 2] >= box[:, 2] - 1e-9).all()
    assert not cut.any()
