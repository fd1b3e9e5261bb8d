"""Boxes are drawn around their objects with readable labels, and nothing else changes."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.package.classes import class_of
from quadrat.render.boxes import _contrast, draw_boxes, draw_note, line_width
from quadrat.task_kinds import kind_of
from quadrat.types import ClassInfo
from tests.report.things import objects
from tests.waiting import repeated

CLASSES = [ClassInfo(0, "u:0", "fish", (255, 140, 0)), ClassInfo(1, "u:1", "crab", (20, 20, 120))]
SIDES = st.integers(1, 90)
CORNER = st.floats(-20, 220, width=32)
BOXES = st.lists(
    st.tuples(CORNER, CORNER, CORNER, CORNER).map(
        lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
    ),
    max_size=5,
)


def grey(height: int, width: int) -> np.ndarray:
    """Return a uniformly grey picture."""
    return np.full((height, width, 3), 100, np.uint8)


@settings(max_examples=150, deadline=None)
@given(SIDES, SIDES, BOXES)
def test_any_box_can_be_drawn_in_any_picture(height: int, width: int, boxes: list[tuple[float, ...]]) -> None:
    """Boxes outside the picture, on its border or without area can be drawn, even in a picture of one pixel; the input stays unchanged."""
    pixels = grey(height, width)
    detections = objects(boxes, [i % 3 for i in range(len(boxes))], tracks=list(range(len(boxes))))  # type: ignore[arg-type]
    drawn = draw_boxes(pixels, detections, CLASSES, (200, 200))

    assert (drawn.shape, drawn.dtype) == (pixels.shape, np.uint8)
    assert (pixels == 100).all()
    assert (drawn == 100).all() == (not boxes)


def test_the_border_lies_on_the_boxs_pixels() -> None:
    """The box's outermost pixels have the class colour, those next to them contrast with it, the rest is unchanged."""
    pixels = grey(300, 400)
    drawn = draw_boxes(pixels, objects([(100, 150, 380, 250)]), CLASSES, (300, 400))

    assert line_width((300, 400)) == 1
    color, contrast = [255, 140, 0], [0, 0, 0]
    for line, first, last in ((drawn[200], 100, 380), (drawn[:, 300], 150, 250)):
        assert [line[first].tolist(), line[last - 1].tolist()] == [color] * 2
        assert [line[i].tolist() for i in (first - 1, first + 1, last - 2, last)] == [contrast] * 4
    touched = (drawn != pixels).any(-1)
    assert not touched[152:248, 102:378].any()
    assert not touched[251:].any()
    assert not touched[:120].any()


def test_boxes_are_scaled_to_a_smaller_picture() -> None:
    """Boxes are scaled from source to picture pixels, separately in x and y."""
    drawn = draw_boxes(grey(100, 400), objects([(200, 400, 400, 800)]), CLASSES, (1000, 800))

    assert drawn[60, 100].tolist() == drawn[60, 199].tolist() == [255, 140, 0]
    assert drawn[79, 150].tolist() == [255, 140, 0]


def test_the_better_score_is_drawn_last() -> None:
    """Where two borders overlap, the one with the higher score is visible, whatever the order."""
    boxes = [(10.0, 100.0, 90.0, 190.0), (10.0, 100.0, 90.0, 190.0)]
    for classes, scores in (([0, 1], [0.9, 0.2]), ([1, 0], [0.2, 0.9])):
        drawn = draw_boxes(grey(200, 100), objects(boxes, classes, scores), CLASSES, (200, 100))
        assert drawn[150, 10].tolist() == [255, 140, 0]


@pytest.mark.parametrize(
    "box", [(0, 0, 30, 30), (390, 0, 400, 300), (0, 290, 400, 300), (399, 299, 400, 300)]
)
def test_a_label_lies_wholly_in_the_picture(box: tuple[float, float, float, float]) -> None:
    """At every border of the picture, the label is as large as in the middle."""

    def touched(where: tuple[float, float, float, float]) -> int:
        drawn = draw_boxes(grey(300, 400), objects([where]), CLASSES, (300, 400))
        return int((drawn != 100).any(-1).sum())

    assert touched(box) >= touched((200, 150, 201, 151)) - 12  # the box itself may be clipped


def test_labels_differ_by_score_and_track() -> None:
    """Labels show the score and the track number, if there is one."""
    boxes = [(100.0, 150.0, 180.0, 250.0)]
    pictures = [
        draw_boxes(grey(300, 400), objects(boxes, scores=[score], tracks=tracks), CLASSES, (300, 400))
        for score, tracks in [(0.5, None), (0.6, None), (0.5, [3]), (0.5, [4])]
    ]
    untracked = draw_boxes(grey(300, 400), objects(boxes, scores=[0.5], tracks=[-1]), CLASSES, (300, 400))

    assert len({p.tobytes() for p in pictures}) == 4
    assert untracked.tobytes() == pictures[0].tobytes()


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_text_contrasts_with_any_colour(color: tuple[int, int, int]) -> None:
    """The contrast ratio is at least 4.5, as WCAG 2.1 requires."""

    def luminance(rgb: tuple[int, int, int]) -> float:
        linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(color), luminance(_contrast(color))])
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_names_in_any_script_are_drawn() -> None:
    """A label shows the name itself, or what `readable` makes of it; an unlisted class has its number."""
    pictures = []
    for name in ("Grüße", "Grusse", "водоросль", "class 0"):
        info = ClassInfo(0, "u", name, (0, 0, 0))
        pictures.append(draw_boxes(grey(200, 300), objects([(50, 50, 90, 90)]), [info], (200, 300)).tobytes())

    assert len(set(pictures)) == 4
    assert class_of({}, 7, kind_of("detect").class_urn).name == "class 7"


def test_a_note_is_in_the_corner() -> None:
    """The note is drawn in the upper left corner of a copy, and clipped if the picture is small."""
    pixels = grey(200, 300)
    drawn = draw_note(pixels, "not measured: black")

    assert (pixels == 100).all()
    assert (drawn[:5, :5] != 100).all()
    assert (drawn[100:] == 100).all()
    assert draw_note(grey(3, 2), "not measured: black").shape == (3, 2, 3)


@repeated
def test_twenty_boxes_take_little_time() -> None:
    """At 1080p, drawing takes less than half the time of writing the frame as a JPEG file."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 1, (20, 2)) * [1700, 900]
    boxes = np.concatenate([corners, corners + rng.uniform(40, 180, (20, 2))], axis=1)
    pixels, noise = grey(1080, 1920), rng.integers(0, 255, (1080, 1920, 3), np.uint8)
    drawing, writing = [], []
    for _ in range(20):
        found = objects(boxes.tolist(), [0, 1] * 10, rng.uniform(0.2, 1, 20).tolist(), list(range(20)))
        begin = time.thread_time()
        draw_boxes(pixels, found, CLASSES, (1080, 1920))
        drawn = time.thread_time()
        cv2.imencode(".jpg", noise)
        drawing.append(drawn - begin)
        writing.append(time.thread_time() - drawn)

    assert min(drawing) < min(writing) / 2


def test_a_long_name_leaves_room_for_the_score() -> None:
    """A name wider than NAME_WIDTH is cut with three dots, so that its label is not wider than another long one."""

    def width(name: str) -> int:
        info = ClassInfo(0, "u", name, (255, 0, 0))
        drawn = draw_boxes(grey(200, 900), objects([(50, 50, 90, 90)]), [info], (200, 900))
        return int((drawn[:50] != 100).any(axis=(0, 2)).sum())

    assert width("fish") < width("a" * 30) <= width("a" * 300) <= width("a" * 30) + 20


def test_labels_can_be_left_out() -> None:
    """With "none" there are only boxes; with "all" every box has a label above it."""
    boxes = objects([(50, 50, 90, 90), (60, 60, 100, 100)], [0, 0], [0.9, 0.8])
    bare = draw_boxes(grey(200, 300), boxes, CLASSES, (200, 300), labels="none")
    every = draw_boxes(grey(200, 300), boxes, CLASSES, (200, 300), labels="all")
    assert (bare[:48] == 100).all()
    assert (every[40:48, 52:90] != 100).any()
