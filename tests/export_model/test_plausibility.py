from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_model.objects import CanonicalObjects
from export_model.plausibility import LEAST, judge

HW = (192, 256)


def found(boxes: np.ndarray) -> CanonicalObjects:
    """Make objects of these boxes with falling scores."""
    scores = np.linspace(0.9, 0.1, len(boxes), dtype=np.float32)
    return CanonicalObjects(boxes.astype(np.float32), scores, np.zeros(len(boxes), np.int64))


def spread(seed: int, count: int) -> np.ndarray:
    """Draw boxes all over an input."""
    rng = np.random.default_rng(seed)
    centres, half = rng.uniform(0, HW[::-1], (count, 2)), rng.uniform(2, 90, (count, 2))
    return np.concatenate([centres - half, centres + half], axis=1)


@given(st.integers(0, 10**6), st.integers(0, 60))
def test_boxes_all_over_the_picture_can_be_right(seed: int, count: int) -> None:
    """Objects whose centres lie in the picture are never doubted, however many."""
    assert not judge([found(spread(seed, count))], HW)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda boxes: boxes / 20, "upper left corner"),
        (lambda boxes: boxes + 1000, "outside the picture"),
        (lambda boxes: boxes * [-1, -1, 1, 1] - [2000, 2000, -2000, -2000], "much larger than the picture"),
    ],
)
def test_boxes_in_other_units_cannot(change, reason: str) -> None:
    """In cells, relative to something else, or through a wrong exponential; few boxes say nothing."""
    boxes = change(spread(0, LEAST + 20))
    assert reason in judge([found(boxes)], HW)
    assert not judge([found(boxes[: LEAST - 1])], HW)


def test_all_pictures_count() -> None:
    """One picture's objects in a corner are no doubt if those of the others are elsewhere."""
    corner, others = spread(0, 30) / 20, spread(1, 30)
    assert not judge([found(corner), found(others)], HW)
