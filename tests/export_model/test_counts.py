"""The number of classes of a detector is stated without their names, wherever its outputs tell it."""

from __future__ import annotations

import json

import pytest

from export_model import archive
from export_model.counts import count_classes
from export_model.export import parser, read
from tests.detectors import LAYOUTS, bright_onnx

STRETCHED = ("rtdetr", "rtdetr-ultralytics", "rfdetr", "paddledet")
OPEN = ("yolov10", "rtdetr", "boxes", "mmdet", "paddledet")
"""Layouts whose outputs hold class numbers, not a score for each class."""


def packed(folder, data: bytes, layout: str, *words: str):
    """Pack a network without names: meta.json, the number of classes, and the classes in the self-test."""
    path = folder / "net.onnx"
    path.write_bytes(data)
    size = ("--stretch" if layout in STRETCHED else "--letterbox", "64", "64", "--mean", "0", "--std", "1")
    given = ["--task", "detect", "--onnx", str(path), "--layout", layout, *size, *words]
    network, classes = read(parser().parse_args(given))
    members, count = archive.assemble(network, classes, "net", print)
    archive.check_readable(members)
    return json.loads(members["meta.json"]), count


@pytest.mark.parametrize("layout", LAYOUTS)
def test_unnamed_classes_are_counted(tmp_path, layout):
    """The archive states how many classes there are, and can be read with that; class numbers tell no count."""
    meta, count = packed(tmp_path, bright_onnx(layout), layout)
    expected = None if layout in OPEN else 2
    assert count == expected
    assert meta["model"].get("num_classes") == expected
    assert meta["classes"] == []


def test_a_class_that_means_no_object_is_not_counted(tmp_path):
    """Three logits with a background are two classes."""
    data = bright_onnx("rfdetr", num_classes=3)
    assert packed(tmp_path, data, "rfdetr", "--background", "2")[0]["model"]["num_classes"] == 2


@pytest.mark.parametrize(
    ("detect", "shapes", "count"),
    [
        ({"layout": "ssd", "background": 0}, {"boxes": (1, 4420, 4), "scores": (1, 4420, 2)}, 1),
        ({"layout": "ssd"}, {"boxes": (1, 4420, 4), "scores": (1, 7, 4420)}, 7),
        ({"layout": "nanodet"}, {"predictions": (1, 2100, 112)}, 80),
        ({"layout": "nanodet"}, {"scores-8": (1, 1600, 80), "boxes-8": (1, 1600, 32)}, 80),
        ({"layout": "nanodet-plus"}, {"predictions": (1, 2125, 35)}, 3),
        ({"layout": "yolox"}, {"predictions": (1, 3549, 85)}, 80),
        ({"layout": "yolov8"}, {"predictions": (1, 6, 8400)}, 2),
        ({"layout": "centernet"}, {"heat": (1, 5, 128, 128)}, 5),
        ({"layout": "mmdet"}, {"boxes": (1, 100, 5), "labels": (1, 100)}, None),
    ],
)
def test_each_layout_has_its_own_axis(detect, shapes, count):
    """The classes are counted on the axis that has a score for each, in the layout's own form."""
    assert count_classes(detect, shapes) == count
