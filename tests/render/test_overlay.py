"""The overlay tints each class and appends a legend below the picture."""

from __future__ import annotations

import numpy as np

from quadrat.render.overlay import TINT, draw_overlay
from quadrat.render.palette import lookup_table, palette
from quadrat.types import ClassInfo, Cover

CLASSES = [ClassInfo(0, "urn:0", "sand", (0, 0, 0)), ClassInfo(1, "urn:1", "seagrass", (0, 200, 0))]
COVERS = [Cover(c.index, c.id, c.name, c.color, 1, 0.5) for c in CLASSES]


def test_a_pixel_is_tinted_by_its_own_class() -> None:
    """Away from class edges, a pixel is a blend of picture and class colour."""
    labels = np.zeros((60, 80), np.uint8)
    labels[:, 40:] = 1
    drawn = draw_overlay(np.full((60, 80, 3), 100, np.uint8), labels, COVERS)

    np.testing.assert_allclose(
        drawn[30, 60], np.array([100, 100, 100]) * (1 - TINT) + np.array([0, 200, 0]) * TINT, atol=1
    )
    np.testing.assert_allclose(drawn[30, 20], [100 * (1 - TINT)] * 3, atol=1)


def test_the_legend_covers_no_part_of_the_picture() -> None:
    """The picture keeps its size; the legend is added below, wrapped if the picture is narrow."""
    wide = draw_overlay(np.zeros((50, 400, 3), np.uint8), np.zeros((50, 400), np.uint8), COVERS)
    narrow = draw_overlay(np.zeros((50, 60, 3), np.uint8), np.zeros((50, 60), np.uint8), COVERS)

    assert wide.shape[1:] == (400, 3)
    assert narrow.shape[0] > wide.shape[0] > 50


def test_labels_of_source_size_are_resized_to_the_picture() -> None:
    """With result-size=source, the mask is larger than the working picture, and is scaled down."""
    drawn = draw_overlay(np.zeros((50, 60, 3), np.uint8), np.ones((200, 240), np.uint8), COVERS)

    assert drawn.shape[1] == 60


def test_the_palette_has_each_class_at_its_own_index() -> None:
    """Gaps between class indices do not shift colours."""
    classes = [Cover(2, "urn:2", "c", (9, 8, 7), 1, 0.5), Cover(0, "urn:0", "a", (1, 2, 3), 1, 0.5)]

    assert [(1, 2, 3), (0, 0, 0), (9, 8, 7)] == palette(classes)
    assert [9, 8, 7] == lookup_table(classes)[2].tolist()


def test_class_edges_have_the_full_class_colour() -> None:
    """The last pixel before another class, to the right or below, is not blended with the picture."""
    labels = np.ones((40, 60), np.uint8)
    labels[20:, 30:] = 0
    drawn = draw_overlay(np.full((40, 60, 3), 100, np.uint8), labels, COVERS)

    assert drawn[30, 29].tolist() == drawn[19, 45].tolist() == [0, 200, 0]
    assert drawn[30, 28].tolist() == drawn[18, 45].tolist() != [0, 200, 0]
