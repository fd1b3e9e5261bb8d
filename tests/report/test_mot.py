"""MOTChallenge text is what evaluators read: ten columns, frames from 1."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.report.mot import COLUMNS, mot_lines
from quadrat.report.rows import rows_of
from tests.report.things import many, objects


def test_a_line_has_the_challenges_ten_columns() -> None:
    """Frames count from 1, boxes are left, top, width, height."""
    rows = rows_of(objects([(10, 20, 60, 70)], [2], [0.9], [4]))

    assert mot_lines(0, rows, tracked=True) == "1,4,10.00,20.00,50.00,50.00,0.9000,3,-1,-1\n"
    assert len(COLUMNS) == 10


@pytest.mark.parametrize(("tracked", "ids"), [(True, ["3", "0"]), (False, ["3", "-1", "0"])])
def test_objects_without_a_track_are_left_out_if_objects_are_tracked(tracked: bool, ids: list[str]) -> None:
    """Without a tracker, all are there with the id -1."""
    text = mot_lines(6, rows_of(objects([(0, 0, 1, 1)] * 3, tracks=[3, -1, 0])), tracked)

    assert ids == [line.split(",")[1] for line in text.splitlines()]
    assert {"7"} == {line.split(",")[0] for line in text.splitlines()}


@pytest.mark.parametrize(
    ("kept", "classes"), [((), ["3", "6"]), ((2, 5), ["1", "2"]), ((0, 2, 5), ["2", "3"])]
)
def test_classes_count_from_1_among_those_that_the_order_keeps(
    kept: tuple[int, ...], classes: list[str]
) -> None:
    """One class alone is class 1, which is the one that evaluators count."""
    text = mot_lines(0, rows_of(objects([(0, 0, 1, 1)] * 2, [2, 5], tracks=[1, 2])), True, kept)

    assert classes == [line.split(",")[7] for line in text.splitlines()]


@given(st.integers(0, 20), st.integers(0, 99))
def test_boxes_are_those_of_the_frame(count: int, seed: int) -> None:
    """Read back, every line is an object."""
    found = many(count, seed, tracked=False)
    fields = [line.split(",") for line in mot_lines(0, rows_of(found), tracked=False).splitlines()]
    sides = np.array([[float(part) for part in line[2:6]] for line in fields]).reshape(-1, 4)

    assert {len(line) for line in fields} <= {10}
    np.testing.assert_allclose(sides[:, :2], found.boxes[:, :2], atol=0.0051)
    np.testing.assert_allclose(sides[:, :2] + sides[:, 2:], found.boxes[:, 2:], atol=0.0051)
