"""The legend: sorted, short, and readable."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.render.legend import IN_FRAME, LEAST_LINES, draw_legend, entries, paste_legend, percent
from quadrat.types import Cover

HW = (400, 800)


def covers(*pixels: int) -> list[Cover]:
    """Return the covers of classes from their numbers of pixels, as shares of 1000 or of their sum."""
    whole = max(1000, sum(pixels))
    return [Cover(i, f"u:{i}", f"name {i}", (i % 256, 200, 0), n, n / whole) for i, n in enumerate(pixels)]


def test_classes_are_sorted_by_cover_and_zeros_are_counted() -> None:
    """The largest is first, and classes that were not found are one entry without a swatch."""
    listed = entries(covers(0, 250, 0, 740, 10, 0))
    assert [entry.text for entry in listed] == [
        "name 3 74.0 %",
        "name 1 25.0 %",
        "name 4 1.0 %",
        "3 more: 0 %",
    ]
    assert [entry.color is None for entry in listed] == [False, False, False, True]


def test_what_does_not_fit_is_counted_with_its_cover() -> None:
    """The rest has the largest of its covers."""
    assert [entry.text for entry in entries(covers(500, 300, 150, 50, 0), most=2)][1:] == [
        "name 1 30.0 %",
        "3 more: at most 15.0 % each",
    ]


def test_an_empty_mask_has_a_legend() -> None:
    """One class is named even if nothing was found."""
    assert [entry.text for entry in entries(covers(0, 0))] == ["name 0 0.0 %", "1 more: 0 %"]
    assert entries([]) == []


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0.0 %"), (0.0004, "< 0.1 %"), (0.0005, "0.1 %"), (0.5, "50.0 %"), (1.0, "100.0 %")],
)
def test_a_small_share_is_not_zero(share: float, shown: str) -> None:
    """Only what has no pixel is 0.0 %."""
    assert percent(share) == shown


@pytest.mark.parametrize("count", [1, 3, 20, 150, 255])
@pytest.mark.parametrize("hw", [HW, (60, 90), (2000, 300), (1, 1), (30, 5000)])
def test_a_legend_is_short_whatever_the_number_of_classes(count: int, hw: tuple[int, int]) -> None:
    """150 classes that are all found take at most 0.4 of the picture's height, or a few lines."""
    strip = draw_legend(hw, covers(*range(1, count + 1)))
    size = max(12, min(28, hw[1] // 40))
    assert strip.shape[1:] == (hw[1], 3)
    assert strip.shape[0] <= max(0.4 * hw[0], 2 * size * LEAST_LINES) + size


def test_a_frames_legend_is_in_its_corner() -> None:
    """It has the largest classes in order of index, and hides nothing else; a small frame has none."""
    frame = np.full((240, 320, 3), 100, np.uint8)
    drawn = paste_legend(frame, covers(*range(1, 31)))
    changed = (drawn != frame).any(-1)
    rows, columns = np.nonzero(changed)
    assert drawn.shape == frame.shape
    assert (rows.min() > 120, rows.max(), columns.min(), columns.max() < 160) == (True, 239, 0, True)
    shown = [tuple(color) for color in drawn.reshape(-1, 3) if tuple(color)[1] > 150]
    assert shown
    assert IN_FRAME == 8
    small = np.full((100, 100, 3), 100, np.uint8)
    assert paste_legend(small, covers(1, 2)) is small
    assert (frame == 100).all()
