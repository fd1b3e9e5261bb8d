"""The truth of a scene matches its pixels, and detections are counted correctly."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scenes import COLORS, HW, SCENES, Scene, count_hits, draw


@pytest.mark.parametrize("name", SCENES)
def test_boxes_match_the_pixels(name):
    """Every box has its class colour along its border, and another colour next to its corners outside."""
    scene = draw(name, 3)
    assert scene.pixels.shape == (*HW, 3)
    assert len(scene.boxes) >= 40
    for (x0, y0, x1, y1), kind in zip(scene.boxes.astype(int), scene.classes, strict=True):
        rim = [
            scene.pixels[y0, x0:x1],
            scene.pixels[y1 - 1, x0:x1],
            scene.pixels[y0:y1, x0],
            scene.pixels[y0:y1, x1 - 1],
        ]
        assert all((line == COLORS[kind]).all() for line in rim)
        for y, x in ((y0 - 1, x0), (y1, x0), (y0, x0 - 1), (y0, x1)):
            if 0 <= y < HW[0] and 0 <= x < HW[1]:
                assert tuple(scene.pixels[y, x]) != COLORS[kind]


def test_a_seed_determines_the_scene():
    """Equal seeds give equal scenes, different seeds different ones."""
    first, again, other = draw("nested", 1), draw("nested", 1), draw("nested", 2)
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert first.boxes.tobytes() == again.boxes.tobytes()
    assert first.boxes.shape != other.boxes.shape or (first.boxes != other.boxes).any()


def test_an_object_is_matched_once_and_by_its_own_class():
    """A second box of an object, a box of another class and a box below the IoU are not counted."""
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], float)
    scene = Scene("two", np.zeros((1, 1, 3), np.uint8), boxes, np.array([0, 1]))
    found = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [20, 0, 30, 7]], float)
    scores, classes = np.array([0.9, 0.8, 0.7, 0.6]), np.array([0, 0, 0, 1])
    assert count_hits(scene, found, scores, classes, 0.5) == 2
    assert count_hits(scene, found, scores, classes, 0.9) == 1
