"""Models with several classes per pixel: each class has its own mask and cover, and everything says that they overlap."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from predictor import Measurement
from quadrat.package.masks import MaskWords
from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.render.legend import draw_note
from quadrat.render.overlay import annotate, draw_overlay, tint
from quadrat.report.cover import measure, no_class
from quadrat.report.names import folder_of
from quadrat.tasks.segment.reader import OutputReader
from tests.report.things import CLASSES, HW, Desk, end, facts, frame, photo


def overlapping() -> Segmentation:
    """Make masks: class 0 in the upper half, class 1 in the left half, class 2 nowhere, and nothing at the lower right."""
    scores = np.full((3, *HW), 0.1, np.float32)
    scores[0, : HW[0] // 2] = 0.9
    scores[1, :, : HW[1] // 2] = 0.6
    return OutputReader("m", 3, {"logits": "s"}, MaskWords("none", multi_label=True)).decide(scores)


def test_each_class_is_counted_by_its_own_mask() -> None:
    """Covers overlap; the mean confidence of a class is that of its own pixels."""
    covers = measure(facts("segment"), overlapping(), 0.0)
    assert [cover.cover for cover in covers] == [0.5, 0.5, 0.0]
    assert [cover.pixels for cover in covers] == [HW[0] * HW[1] // 2] * 2 + [0]
    assert covers[0].confidence is not None
    assert abs(covers[0].confidence - 0.9) < 1e-3
    assert covers[1].confidence is not None
    assert abs(covers[1].confidence - 0.6) < 1e-3
    assert covers[2].confidence is None
    assert no_class(overlapping()).cover == 0.25
    unnamed = measure(facts("segment", ()), overlapping(), 0.0)
    assert [cover.cover for cover in unnamed] == [0.5, 0.5, 0.0]


def test_products_and_tables_say_so(tmp_path: Path) -> None:
    """A mask per class, the key multi-label, the share without a class, and the column of the table."""
    desk = Desk(tmp_path, "segment", outputs=("pseudo", "overlay"))
    made = {each.name: each for each in desk.picture(photo(overlapping()))}
    masks = [name for name in made if name.endswith(".mask.png")]
    assert masks == ["p.0-fish.mask.png", "p.1-crab-red.mask.png", "p.2-grue.mask.png"]
    assert {folder_of(name[1:]) for name in masks} == {"mask"}
    with Image.open(io.BytesIO(made[masks[1]].body)) as mask:  # type: ignore[arg-type]  # it is small: bytes
        plane = np.asarray(mask)
    assert plane[:, : HW[1] // 2].min() == 255
    assert plane[:, HW[1] // 2 :].max() == 0
    assert made[masks[1]].metadata["class"] == 'crab, "red"'

    aspect = made["p.pseudo.png"].metadata
    assert aspect["multi-label"] is True
    assert aspect["no-class"] == 0.25
    assert sum(each["cover"] for each in aspect["cover"]) == 1.0
    assert {row["multi_label"] for row in desk.rows} == {"yes"}
    assert [row["cover"] for row in desk.rows] == ["0.500000", "0.500000", "0.000000"]
    assert desk.products["survey.csv"].metadata["multi-label"] is True


def test_videos_say_so_too(tmp_path: Path) -> None:
    """Covers of frames come from the masks of the classes."""
    desk = Desk(tmp_path, "segment")
    desk.frame(frame(0, overlapping()))
    (table,) = desk.closed(end(1))
    assert table.metadata["multi-label"] is True
    assert [each["cover"] for each in table.metadata["cover"]] == [0.5, 0.5, 0.0]
    drawn = annotate(frame(0, None).frame, overlapping(), CLASSES)
    assert drawn.shape[:2] == frame(0, None).frame.pixels.shape[:2]


def test_pixels_without_a_class_are_not_tinted() -> None:
    """A picture keeps what belongs to nothing, and the legend has a line that classes overlap."""
    found, pixels = overlapping(), np.full((*HW, 3), 90, np.uint8)
    covers = [*measure(facts("segment"), found, 0.0), no_class(found)]
    drawn = draw_overlay(pixels, found.labels, covers, overlap=True)
    plain = draw_overlay(pixels, found.labels, covers)
    assert (drawn[HW[0] - 5, HW[1] - 5] == 90).all()
    assert drawn.shape[0] == plain.shape[0] + draw_note(HW[1]).shape[0]
    assert (draw_note(HW[1]) < 128).any()
    assert (tint(pixels, np.full(HW, UNKNOWN, np.uint8), CLASSES) == pixels).all()


def test_the_python_interface_has_the_masks() -> None:
    """`masks` is one plane per class; `labels` has the best class, 255 for none."""
    found = overlapping()
    covers = measure(facts("segment"), found, 0.0)
    measured = Measurement("p", found, np.full((*HW, 3), 90, np.uint8), HW, covers)
    assert measured.masks is not None
    assert measured.masks.shape == (*HW, 3)
    assert measured.masks.mean() == 1 / 3
    assert measured.labels[-1, -1] == UNKNOWN
    assert measured.overlay().size[0] == HW[1]
    assert measured.pseudo().size == (HW[1], HW[0])
    plain = Measurement("p", Segmentation(found.labels % 3), measured.pixels, HW, covers)
    assert plain.masks is None
