"""Numbers become text once, so that all tables agree."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quadrat.predictions import Detections
from quadrat.report.rows import rows_of
from tests.report.things import many, objects


@given(st.integers(0, 40), st.integers(0, 99), st.booleans())
def test_every_object_is_a_row(count: int, seed: int, tracked: bool) -> None:
    """In order, with boxes within half a hundredth of a pixel and scores within half of 0.0001."""
    found = many(count, seed, tracked=tracked)
    rows = rows_of(found)

    assert [row.index for row in rows] == found.classes.tolist()
    assert [row.track for row in rows] == ([-1] * count if found.tracks is None else found.tracks.tolist())
    corners = np.array([[float(part) for part in row.corners.split(",")] for row in rows]).reshape(-1, 4)
    np.testing.assert_allclose(corners, found.boxes, atol=0.0051)
    np.testing.assert_allclose([float(row.score) for row in rows], found.scores, atol=5.1e-5)


@given(st.integers(1, 40), st.integers(0, 99))
def test_sides_and_area_are_those_of_the_rounded_corners(count: int, seed: int) -> None:
    """Left plus width is the right corner that the other table has, to the last digit."""
    for row in rows_of(many(count, seed)):
        x0, y0, x1, y1 = (float(part) for part in row.corners.split(","))
        left, top, width, height = (float(part) for part in row.sides.split(","))
        assert (left, top) == (x0, y0)
        assert (round(left + width, 2), round(top + height, 2)) == (x1, y1)
        assert abs(float(row.area) - width * height) <= 0.0051


def test_the_text_of_numbers() -> None:
    """Two digits of a pixel and an area, four of a score; hundredths are rounded to even."""
    (row,) = rows_of(objects([(1.125, 2, 3.25, 10)], [2], [0.98768], [7]))

    assert (row.index, row.track, row.score) == (2, 7, "0.9877")
    assert row.corners == "1.12,2.00,3.25,10.00"
    assert row.sides == "1.12,2.00,2.13,8.00"
    assert row.area == "17.04"


def test_no_objects_are_no_rows() -> None:
    """An empty frame is measured all the same."""
    assert rows_of(Detections.none()) == []
