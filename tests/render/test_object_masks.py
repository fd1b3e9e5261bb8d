"""Masks of objects are tinted where they are, at any size of the picture."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.geometry import Window
from quadrat.predictions import UNKNOWN, Detections, ObjectResult, Segmentation
from quadrat.render.object_masks import tint_objects
from quadrat.types import ClassInfo

RED = ClassInfo(0, "urn:red", "red", (255, 0, 0))


def found(labels: np.ndarray, window: Window) -> Detections:
    """Make one object with this mask."""
    return Detections(
        np.array([[0, 0, 9, 9]], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int32),
        details={"mask": (ObjectResult(window, Segmentation(labels)),)},
    )


@pytest.mark.parametrize("scale", [1, 2, 0.5])
def test_only_the_mask_is_tinted(scale: float) -> None:
    """The rest of the picture, and the picture that is given, stay as they are."""
    labels = np.full((20, 10), UNKNOWN, np.uint8)
    labels[:10] = 3
    hw = (int(60 * scale), int(40 * scale))
    pixels = np.full((*hw, 3), 100, np.uint8)
    drawn = tint_objects(pixels, found(labels, Window(20, 10, 20, 10)), [RED], (60, 40))

    changed = (drawn != 100).any(axis=2)
    expected = np.zeros(hw, bool)
    expected[int(20 * scale) : int(30 * scale), int(10 * scale) : int(20 * scale)] = True
    np.testing.assert_array_equal(expected, changed)
    assert drawn[expected][:, 0].min() > 100 > drawn[expected][:, 1].max()
    assert (pixels == 100).all()


def test_without_masks_it_is_the_picture() -> None:
    """Not a copy."""
    pixels = np.zeros((4, 4, 3), np.uint8)
    assert tint_objects(pixels, Detections.none(), [RED], (4, 4)) is pixels
