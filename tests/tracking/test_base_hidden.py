"""Objects that are only partly visible: behind the border, a rock, or each other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from quadrat import tracking
from tests.tracking.scenes import NOTHING, detections, embeddings, tracker, tracks_of

ALL = pytest.mark.parametrize("name", tracking.TRACKERS)
SIDES = ("left", "right", "top", "bottom")
WIDTH, HEIGHT = 640, 400
ROCK = (260.0, 100.0, 360.0, 300.0)
SMALLEST = 4.0
"""Smallest side of a part that is detected, in pixels."""
Box = tuple[float, float, float, float]


def moving(frame: int, start: tuple[float, float], speed: float, size: tuple[float, float] = (60, 40)) -> Box:
    """Return the box of an object that moves to the right, or to the left if `speed` is below 0."""
    x = start[0] + speed * frame
    return x, start[1], x + size[0], start[1] + size[1]


def visible(box: Box, rock: Box | None = None) -> Box | None:
    """Cut a box at the border and at a rock; return None if too little is left for a detector."""
    x0, y0, x1, y1 = max(0.0, box[0]), max(0.0, box[1]), min(WIDTH, box[2]), min(HEIGHT, box[3])
    if rock and y0 < rock[3] and y1 > rock[1]:
        left, right = (x0, min(x1, rock[0])), (max(x0, rock[2]), x1)
        x0, x1 = max(left, right, key=lambda side: side[1] - side[0])
    return (x0, y0, x1, y1) if min(x1 - x0, y1 - y0) >= SMALLEST else None


def numbers(name: str, frames: Sequence[Sequence[Box | None]], kinds: Sequence[int]) -> list[set[int]]:
    """Track objects with embeddings by kind; return all numbers that each object had."""
    made, had = tracker(name), [set[int]() for _ in kinds]
    for boxes in frames:
        there = [(i, box) for i, box in enumerate(boxes) if box is not None]
        frame = detections([box for _, box in there])
        found = made.update(frame, embeddings(*(kinds[i] for i, _ in there))).detections.tracks
        for (i, _), number in zip(there, found.tolist(), strict=True):
            had[i] |= {number} - {-1}
    return had


def turned(box: Box | None, side: str) -> Box | None:
    """Rotate or mirror the scene, so that an object from the left enters from another side."""
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
def test_an_object_that_enters_and_leaves_at_a_border_keeps_its_number(name, side, pace):
    """It grows from a sliver to the whole, crosses the picture, and shrinks to a sliver."""
    frames = [[turned(visible(moving(f, (-58, 150), pace)), side)] for f in range(700 // pace)]
    assert numbers(name, frames, [0]) == [{1}]


@ALL
@pytest.mark.parametrize("kinds", [(0, 1), (0, 0)])
def test_a_passing_object_does_not_take_the_number_of_a_hidden_one(name, kinds):
    """One object passes in front of the rock, the other way, while another is behind it; they may look the same."""
    frames = [
        [visible(moving(f, (20, 150), 6), ROCK), visible(moving(f, (560, 170), -7, (50, 60)))]
        for f in range(80)
    ]
    assert any(one is None for one, _ in frames)
    hidden, passing = numbers(name, frames, kinds)
    assert not hidden & passing


@ALL
def test_a_new_object_elsewhere_does_not_take_the_number_of_a_hidden_one(name):
    """An object that enters at the border while another is behind the rock is a new one."""
    late = [None] * 42
    frames = [
        [
            visible(moving(f, (20, 150), 6), ROCK),
            (late[f : f + 1] or [visible(moving(f - 42, (-58, 150), 6))])[0],
        ]
        for f in range(75)
    ]
    hidden, new = numbers(name, frames, [0, 0])
    assert not hidden & new


@ALL
def test_an_object_that_covers_another_keeps_its_number(name):
    """An object at rest shrinks and grows while a larger one passes in front; the one in front keeps its number."""
    frames = []
    for f in range(60):
        passing = moving(f, (40, 120), 7, (50, 120))
        frames.append([visible((300, 150, 360, 190), passing), passing])
    covered, passing = numbers(name, frames, [0, 1])
    assert (passing, covered & passing) == ({2}, set())


def hidden(name: str, **options: object):
    """Make a tracker whose one object, 60 pixels wide and high and at rest, was hidden for three frames."""
    made = tracker(name, **options)
    tracks_of(made, [detections([(300, 200, 360, 260)])] * 10 + [NOTHING] * 3)
    return made


def test_deepsort_knows_a_part_by_its_appearance():
    """A part in the right place, but of another appearance, is another object."""
    frame = detections([(300, 200, 310, 260)])
    assert hidden("deepsort").update(frame, embeddings(1)).detections.tracks.tolist() == [-1]
    assert hidden("deepsort").update(frame, embeddings(0)).detections.tracks.tolist() == [1]
