"""The overlay tints each class and appends a legend below the picture."""

from __future__ import annotations

import numpy as np

from quadrat.parameters import PictureSettings
from quadrat.predictions import Segmentation
from quadrat.render.overlay import TINT, annotate, draw_overlay, tint
from quadrat.render.palette import lookup_table, palette
from quadrat.types import ClassInfo, Cover, Frame, FrameKey

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


def test_the_opacity_is_the_weight_of_the_classes() -> None:
    """0 leaves the photograph, 1 shows only the classes."""
    pixels, labels = np.full((40, 60, 3), 100, np.uint8), np.ones((40, 60), np.uint8)
    for opacity, shown in ((0.0, [100, 100, 100]), (1.0, [0, 200, 0])):
        style = PictureSettings(overlay_opacity=opacity)
        assert tint(pixels, labels, COVERS, style)[20, 20].tolist() == shown


def test_outlines_leave_the_photograph_as_it_is() -> None:
    """Only pixels at a border change, and each side has its own colour."""
    pixels, labels = np.full((40, 60, 3), 100, np.uint8), np.zeros((40, 60), np.uint8)
    labels[:, 30:] = 1
    drawn = tint(pixels, labels, COVERS, PictureSettings(overlay_style="outline"))
    changed = np.nonzero((drawn != 100).any(axis=(0, 2)))[0]
    assert changed.tolist() == [28, 29, 30]
    assert drawn[20, 29].tolist() == [0, 0, 0]
    assert drawn[20, 30].tolist() == [0, 200, 0]


def test_the_photograph_is_beside_on_request() -> None:
    """The left half is the photograph, the right half is tinted, and the legend is below both."""
    pixels, labels = np.full((40, 60, 3), 100, np.uint8), np.ones((40, 60), np.uint8)
    drawn = draw_overlay(pixels, labels, COVERS, PictureSettings(overlay_style="beside"))
    assert drawn.shape[1] == 120
    assert (drawn[:40, :60] == 100).all()
    assert (drawn[:40, 60:, 1] > 100).all()


def test_a_frame_of_a_video_has_a_legend() -> None:
    """Its size stays, and the legend names the classes that are there."""
    frame = Frame(FrameKey("v"), (240, 320), np.full((240, 320, 3), 100, np.uint8), time_s=0.0)
    labels = np.ones((240, 320), np.uint8)
    drawn = annotate(frame, Segmentation(labels), CLASSES)
    assert drawn.shape == (240, 320, 3)
    assert drawn[239, 2].min() > 150
    assert (drawn[:120] == drawn[0, 0]).all()
