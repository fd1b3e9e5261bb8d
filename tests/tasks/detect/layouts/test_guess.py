"""The layout of a detector that states none is inferred from names, shapes and classes, or refused."""

from __future__ import annotations

import logging

import pytest

from quadrat.errors import LayoutError
from quadrat.tasks.detect.layouts import guess
from quadrat.types import OutputSpec
from tests.detectors import LAYOUTS, package, specs
from tests.tasks.folding import make_task
from tests.values import settings_of


def one(*shape: int | None, name: str = "output0") -> tuple[OutputSpec, ...]:
    """Make a network's only output."""
    return (OutputSpec(name, "float32", shape),)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("classes", [1, 3, 80, 365])
def test_usual_exports_are_told_apart(layout: str, classes: int) -> None:
    """The usual export of each family, with a known number of classes, fits only its own layout."""
    name, reason = guess(specs(layout, classes, batched=layout != "boxes"), classes)

    assert layout == name
    assert "the network gives" in reason


@pytest.mark.parametrize(
    ("outputs", "classes", "layout"),
    [
        (one(1, 84, 8400), None, "yolov8"),
        (one(None, 84, None), 80, "yolov8"),
        (one(1, 6, 8400), 2, "yolov8"),
        (one(1, 5, 8400), 1, "yolov8"),
        (one(1, 25200, 85), None, "yolov5"),
        (one(1, 25200, 6), 1, "yolov5"),
        (one(1, 300, 6), 80, "yolov10"),
        (one(1, 300, 6), 1, "yolov10"),
        (one(1, 300, 84), 80, "rtdetr-ultralytics"),
        (one(1, 300, 84), None, "rtdetr-ultralytics"),
        (one(1, 84, 84), 80, "rtdetr-ultralytics"),
        ((*one(1, 116, 8400), OutputSpec("output1", "float32", (1, 32, 160, 160))), None, "yolov8"),
    ],
    ids=str,
)
def test_shapes_that_only_one_layout_has(
    outputs: tuple[OutputSpec, ...], classes: int | None, layout: str
) -> None:
    """Anchors are many and queries few; the longer axis of a YOLOv8 is its last."""
    assert layout == guess(outputs, classes)[0]


@pytest.mark.parametrize(
    ("outputs", "classes", "may_be"),
    [
        (one(1, 300, 6), 2, "yolov10 or rtdetr-ultralytics"),
        (one(1, 300, 6), None, "yolov10 or rtdetr-ultralytics"),
        (one(1, None, 6), 1, "yolov10 or yolov5"),
        (one(1, None, 85), None, "yolov5 or rtdetr-ultralytics"),
    ],
    ids=str,
)
def test_what_two_layouts_have_is_asked_for(
    outputs: tuple[OutputSpec, ...], classes: int | None, may_be: str
) -> None:
    """The error names both layouts and where to state the right one; none is picked."""
    with pytest.raises(LayoutError, match=may_be) as caught:
        guess(outputs, classes)
    assert '"detect": {"layout": NAME}' in caught.value.hint
    assert "E_MODEL_LAYOUT" == caught.value.code


@pytest.mark.parametrize(
    ("outputs", "classes"),
    [
        ((), 3),
        (one(1, 3, 64, 64), 3),
        (one(1, 84, 8400), 3),
        (one(1, 1000), None),
        ((*one(1, 300, 4, name="a"), *one(1, 300, 4, name="b")), 3),
        (
            (OutputSpec("pred_boxes", "float32", (1, 100, 4)), OutputSpec("logits", "float32", (1, 100, 92))),
            91,
        ),
        (one(None, None, None), 80),
        ((OutputSpec("o", "int64", (1, 300, 6)),), 80),
    ],
    ids=str,
)
def test_what_no_layout_has_is_refused(outputs: tuple[OutputSpec, ...], classes: int | None) -> None:
    """A segmentation network, a classifier, a DETR with softmax and unnamed pairs have no known layout."""
    with pytest.raises(LayoutError, match="no known layout"):
        guess(outputs, classes)


def test_the_guess_is_logged_once_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    """One line in quadrat's log when the model is loaded; none if the layout is stated."""
    with caplog.at_level(logging.INFO, logger="quadrat"):
        make_task(package(None, 3), specs("yolov8", 3), settings_of())
    (line,) = caplog.messages
    assert "tiny does not state the layout" in line
    assert "yolov8 is assumed: the network gives output0 (?, 7, 1200): columns of box" in line
    caplog.clear()
    make_task(package("yolov8", 3), specs("yolov8", 3), settings_of())
    assert not caplog.messages
