"""Every part of a frame is added exactly once."""

from __future__ import annotations

import pytest

from quadrat.errors import QuadratError
from quadrat.tasks.parts import ReceivedParts
from quadrat.types import FrameKey


def received(count: int, *numbers: int) -> ReceivedParts:
    """Mark some parts of a frame of `count`."""
    parts = ReceivedParts(FrameKey("urn:x", 7), count)
    for number in numbers:
        parts.mark(number)
    return parts


def test_all_parts_in_any_order_are_complete() -> None:
    """The order does not matter."""
    received(3, 2, 0, 1).check_complete()


@pytest.mark.parametrize(
    ("count", "numbers", "says"),
    [(1, (), "1 of 1 parts are missing, the first is part 0"), (4, (3, 0), "2 of 4 .*the first is part 1")],
)
def test_missing_parts_are_an_internal_error(count: int, numbers: tuple[int, ...], says: str) -> None:
    """It names the frame and the first part that is missing."""
    with pytest.raises(QuadratError, match=f"urn:x, frame 7: {says}") as caught:
        received(count, *numbers).check_complete()
    assert "E_INTERNAL" == caught.value.code


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ((1, 1), "part 1 was added twice"),
        ((2,), "part 2 does not exist; .*2 parts"),
        ((-1,), "part -1 does not"),
    ],
)
def test_wrong_numbers_are_an_internal_error(numbers: tuple[int, ...], says: str) -> None:
    """A part that comes twice would count twice, and one beyond the last has no place."""
    with pytest.raises(QuadratError, match=says):
        received(2, *numbers)
