"""Crops contain their boxes, lie in the frame, and are the same place in both of its sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.geometry import Window
from quadrat.package.objects import ObjectWords
from quadrat.pipeline.crops import crop_windows, only
from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.types import Frame, FrameKey


def frame(hw: tuple[int, int], source_hw: tuple[int, int]) -> Frame:
    """Make a frame of `hw` that was read from a source of `source_hw`."""
    return Frame(FrameKey("a"), source_hw, np.zeros((*hw, 3), np.uint8))


@given(st.data())
def test_a_crop_contains_its_box_with_the_padding(data: st.DataObject) -> None:
    """Within half a pixel of the frame that was read, and never outside the source; it has at least one pixel."""
    height, width = data.draw(st.integers(1, 300)), data.draw(st.integers(1, 300))
    scale = data.draw(st.sampled_from([1.0, 0.5, 0.31]))
    hw = max(1, int(height * scale)), max(1, int(width * scale))
    x = sorted(data.draw(st.tuples(st.floats(0, width), st.floats(0, width))))
    y = sorted(data.draw(st.tuples(st.floats(0, height), st.floats(0, height))))
    padding = data.draw(st.sampled_from([0.0, 0.1, 1.0]))
    pixels, window = crop_windows(
        frame(hw, (height, width)), (x[0], y[0], x[1], y[1]), ObjectWords(padding=padding)
    )

    for place, size in ((pixels, hw), (window, (height, width))):
        assert 0 <= place.top < place.bottom <= size[0]
        assert 0 <= place.left < place.right <= size[1]
    slack_x, slack_y = width / hw[1] / 2 + 1e-3, height / hw[0] / 2 + 1e-3
    pad_x, pad_y = padding * (x[1] - x[0]), padding * (y[1] - y[0])
    assert window.left <= max(0, x[0] - pad_x) + slack_x
    assert window.right >= min(width, x[1] + pad_x) - slack_x
    assert window.top <= max(0, y[0] - pad_y) + slack_y
    assert window.bottom >= min(height, y[1] + pad_y) - slack_y


def test_a_frame_that_was_read_whole_is_cut_at_whole_pixels() -> None:
    """Boxes are rounded outwards, and the windows are equal."""
    pixels, window = crop_windows(
        frame((90, 90), (90, 90)), (10.2, 20.0, 30.0, 41.9), ObjectWords(padding=0.0)
    )
    assert Window(20, 10, 22, 20) == pixels == window
    padded, _ = crop_windows(frame((90, 90), (90, 90)), (10, 20, 30, 40), ObjectWords(padding=0.5))
    assert Window(10, 0, 40, 40) == padded


@pytest.mark.parametrize("classes", [[1], [0, 2], []])
def test_only_the_parts_of_an_object_stay(classes: list[int]) -> None:
    """Other pixels are UNKNOWN, also where several classes can hold."""
    labels = np.array([[0, 1, 2], [UNKNOWN, 1, 0]], np.uint8)
    kept = only(Segmentation(labels), classes)
    np.testing.assert_array_equal(np.where(np.isin(labels, classes), labels, UNKNOWN), kept.labels)

    members = np.zeros((2, 3, 3), np.float16)
    members[0, 0, 1], members[0, 0, 2], members[1, 1, 0] = 0.6, 0.9, 0.7
    several = only(Segmentation(labels, None, members), classes)
    assert several.members is not None
    held = (several.members > 0).any(axis=2)
    np.testing.assert_array_equal(held, several.labels != UNKNOWN)
    assert not set(np.flatnonzero((several.members > 0).any(axis=(0, 1)))) - set(classes)
