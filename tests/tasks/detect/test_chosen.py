"""Only objects of the classes that the order keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import ParameterError
from quadrat.geometry import Geometry
from quadrat.parameters import ObjectSettings
from quadrat.predictions import Detections
from quadrat.tasks.detect.chosen import chosen
from quadrat.types import ClassInfo, Part
from tests.detectors import encode, package, specs
from tests.tasks.detect.frames import frame
from tests.tasks.folding import make_task, predict
from tests.values import settings_of

NAMES = ("person", "boat", 'crab, "red"', "Grüße", "7", "boat")
CLASSES = tuple(ClassInfo(i, f"urn:c:{i}", name, (0, 0, 0)) for i, name in enumerate(NAMES))


def found(kinds: list[int], **settings: Any) -> Detections:
    """Detect objects of these classes beside each other, with falling scores."""
    boxes = [[5 * i, 2, 5 * i + 4, 12] for i in range(len(kinds))]
    scores = np.linspace(0.9, 0.4, len(kinds)).tolist()
    arrays = encode("yolov8", boxes, scores, kinds, num_classes=2)
    one = make_task(package("yolov8", 2), specs("yolov8", 2), settings_of(**settings))
    return predict(one, frame(), [Part(arrays, Geometry.identity((64, 64)))])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ()),
        (" , ", ()),
        ("person", (0,)),
        ("Boat , person", (0, 1, 5)),
        ('crab, "red"', (2,)),
        ('person,crab, "red",grüsse', (0, 2, 3)),
        ("urn:c:3", (3,)),
        ("3", (3,)),
        ("7", (4,)),
    ],
)
def test_classes_are_given_by_name_id_or_index(text: str, kept: tuple[int, ...]) -> None:
    """Names come first, may contain commas, and all classes of a name are kept."""
    assert chosen(ObjectSettings(classes=text), CLASSES, len(CLASSES)) == kept


@pytest.mark.parametrize("text", ["dog", "person,dog", "6", "-1", "²", "person boat", "99999999999999999999"])
def test_a_class_that_the_archive_does_not_have_is_refused_with_its_classes(text: str) -> None:
    """The error lists what there is."""
    with pytest.raises(ParameterError, match="has no class") as raised:
        chosen(ObjectSettings(classes=text), CLASSES, len(CLASSES))
    assert raised.value.where == "classes"
    assert "person, boat" in raised.value.hint


@pytest.mark.parametrize(("text", "known", "kept"), [("3,1", None, (1, 3)), ("3", 4, (3,)), ("4", 4, None)])
def test_an_archive_without_names_has_indices(
    text: str, known: int | None, kept: tuple[int, ...] | None
) -> None:
    """Any index is possible if nobody knows how many classes there are."""
    if kept is not None:
        assert chosen(ObjectSettings(classes=text), (), known) == kept
        return
    with pytest.raises(ParameterError, match="has no class") as raised:
        chosen(ObjectSettings(classes=text), (), known)
    assert "0 to 3" in raised.value.hint


@given(st.lists(st.integers(0, 1), min_size=1, max_size=12), st.integers(0, 1))
@settings(max_examples=20, deadline=None)
def test_what_is_kept_are_the_objects_of_these_classes(classes: list[int], kept: int) -> None:
    """An order with `classes` finds what one without it finds of these classes, and nothing else."""
    every, some = found(classes), found(classes, classes=str(kept))
    assert np.array_equal(some.boxes, every.boxes[every.classes == kept])
    assert set(some.classes.tolist()) <= {kept}


def test_other_classes_do_not_crowd_out_those_that_are_kept() -> None:
    """`max-detections` counts only objects of the classes that are kept."""
    got = found([0, 0, 0, 0, 1, 1], max_detections=2, classes="1")
    assert (len(got), got.capped) == (2, False)
