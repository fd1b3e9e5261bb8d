from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from quadrat.errors import ClassesError, ManifestError
from quadrat.package import open_archive
from quadrat.package.detectors import LAYOUTS, DetectWords, read_detect
from tests.archives import build, contents


def opened(tmp_path: Path, into: Path, **changes: Any):
    """Open an archive of a detector with these words in meta.json."""
    return open_archive(build(tmp_path / "m.tgz", contents(task="detect", **changes)), into)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read(layout, tmp_path, into):
    """The archive says how its detector lays out what it finds."""
    package = opened(tmp_path, into, detect={"layout": layout}, outputs={"boxes": "b"})

    assert "detect" == package.task
    assert {"boxes": "b"} == package.outputs
    assert DetectWords(layout) == read_detect(package.meta)


def test_nothing_said_is_nothing_known(tmp_path, into):
    """Without `detect` the layout is left to a guess."""
    assert DetectWords() == read_detect(opened(tmp_path, into).meta)


def test_no_background_and_no_word_of_it_differ():
    """A stated null says that no class means nothing; without a word it may be told from the shape."""
    assert DetectWords("rfdetr", None, True) == read_detect(
        {"detect": {"layout": "rfdetr", "background": None}}
    )
    assert DetectWords("rfdetr", 90, True) == read_detect({"detect": {"layout": "rfdetr", "background": 90}})
    assert not read_detect({"detect": {"layout": "rfdetr"}}).stated


def test_what_a_layout_leaves_open_is_stated():
    """Activation, form and unit of boxes, NMS and thresholds are read; one threshold is for all classes."""
    words = {"layout": "ssd", "background": 0, "activation": "softmax", "nms": "agnostic"}
    words |= {"boxes": "centres", "unit": "fractions", "threshold": [0.5, 0]}
    read = DetectWords("ssd", 0, True, "softmax", "agnostic", "centres", "fractions", (0.5, 0.0))
    assert read == read_detect({"detect": words})
    assert (0.4,) == read_detect({"detect": {"threshold": 0.4}}).threshold


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("yolov8", "meta.json: detect: it does not hold names"),
        (
            {"layout": "yolo"},
            r"detect.layout: 'yolo' is not a known layout.*Known layouts are yolov5, yolov8, yolov10, yolox, rtdetr",
        ),
        ({"layout": ["yolov8"]}, "not a known layout"),
        ({"layout": 8}, "not a known layout"),
        ({"lay": "yolov8"}, "'lay' is not one of its keys.*layout, background.*boxes and unit"),
        ({"layout": "yolov8", "background": 0}, "yolov8 has no background class.*have one: rtdetr"),
        ({"layout": "yolov8", "background": None}, "yolov8 has no background class.*have one: rtdetr"),
        ({"background": 0}, "not stated"),
        ({"background": None}, "not stated"),
        ({"layout": "rfdetr", "background": -1}, "detect.background"),
        ({"layout": "rfdetr", "background": True}, "detect.background"),
        ({"layout": "rfdetr", "background": "last"}, "detect.background"),
        ({"layout": "yolov8", "activation": "sigmoid"}, "yolov8 does not have it.*have it: ssd, nanodet"),
        ({"layout": "nanodet", "activation": "tanh"}, "'tanh' is not one of its values.*none, sigmoid"),
        ({"layout": "yolox", "unit": "pixels"}, "yolox does not have it.*have it: ssd"),
        ({"layout": "yolov8", "nms": "all"}, "detect.nms: 'all' is not one of its values"),
        ({"threshold": 1.5}, "detect.threshold: it is neither a score in 0 to 1 nor a list"),
        ({"threshold": []}, "detect.threshold: it is neither"),
        ({"threshold": [0.5, True]}, "detect.threshold: it is neither"),
    ],
    ids=str,
)
def test_wrong_words_are_named(words, says, tmp_path, into):
    """Each with its place, and what is known."""
    with pytest.raises(ManifestError, match=says):
        opened(tmp_path, into, detect=words)


def test_words_of_a_detector_in_a_mask_are_not_read(tmp_path, into):
    """Another task keeps them and does not judge them."""
    archive = build(tmp_path / "m.tgz", contents(task="segment", detect={"layout": "dance"}))

    assert "segment" == open_archive(archive, into).task


def test_a_detector_may_have_more_classes_than_a_mask(tmp_path, into):
    """Its classes are numbers, not bytes: Objects365 and LVIS fit; names without a URN get a detector's."""
    names = [{"name": f"thing {i}"} for i in range(1203)]
    package = opened(tmp_path, into, classes=names)

    assert 1203 == package.num_classes == len(package.classes)
    assert "urn:ibenthos:detection:class:thing-7" == package.classes[7].id
    with pytest.raises(ClassesError, match="10001 classes are more than 10000"):
        opened(tmp_path, into, classes=[], model={"num_classes": 10_001})
