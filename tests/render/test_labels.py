"""Labels are placed beside objects, apart from each other, and thinned in crowds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.render.labels import CROWD, MOST_HIDDEN, place_labels

HW = (400, 600)
LABEL = (20, 80)
CORNER = st.tuples(st.integers(0, 590), st.integers(0, 390), st.integers(1, 200), st.integers(1, 200))


def box(corner: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Make a box inside the picture."""
    left, top, width, height = corner
    return left, top, min(left + width, HW[1]), min(top + height, HW[0])


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Compute the area that two rectangles share."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


def rect(place: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the rectangle of a label."""
    return place[1], place[0], place[1] + LABEL[1], place[0] + LABEL[0]


@settings(max_examples=200, deadline=None)
@given(st.lists(CORNER, max_size=40))
def test_labels_lie_in_the_picture(corners: list[tuple[int, int, int, int]]) -> None:
    """Wherever the boxes are; up to CROWD objects all have one, and in a crowd no label hides another."""
    places = place_labels([box(corner) for corner in corners], [LABEL] * len(corners), HW)
    shown = [rect(place) for place in places if place is not None]
    assert all(0 <= x0 and x1 <= HW[1] and 0 <= y0 and y1 <= HW[0] for x0, y0, x1, y1 in shown)
    if len(corners) <= CROWD:
        assert None not in places
    else:
        assert not any(overlap(a, b) for number, a in enumerate(shown) for b in shown[:number])


def test_a_label_hides_no_object_if_there_is_room() -> None:
    """Above its box usually; below, or beside it, if another object is above."""
    own, above = (200, 200, 300, 260), (190, 150, 310, 198)
    (place,) = place_labels([own], [LABEL], HW)
    assert place == (180, 200)
    places = place_labels([above, own], [LABEL] * 2, HW)
    assert all(
        place is not None and overlap(rect(place), each) == 0 for place in places for each in (own, above)
    )


def test_a_box_that_fills_the_picture_has_its_label_inside() -> None:
    """There is no other room."""
    assert place_labels([(0, 0, 600, 400)], [LABEL], HW) == [(0, 0)]


def test_crowds_are_thinned() -> None:
    """Of a hundred objects on top of each other some have a label, the most important one first, and most have none."""
    rng = np.random.default_rng(1)
    crowd = [box((int(x), int(y), 60, 100)) for x, y in rng.uniform([100, 100], [300, 250], (100, 2))]
    alone = (450, 300, 500, 380)
    places = place_labels([*crowd, alone], [LABEL] * 101, HW)
    assert places[-1] is not None
    assert 0 < sum(place is not None for place in places) < 40
    for place in places:
        if place is not None:
            hidden = sum(overlap(rect(place), each) for each in [*crowd, alone])
            assert hidden <= MOST_HIDDEN * LABEL[0] * LABEL[1]
