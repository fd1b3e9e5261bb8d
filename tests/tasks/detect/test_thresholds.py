"""The least scores of objects: of min-score, else of the archive, for all classes or one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import ClassesError
from quadrat.geometry import Geometry
from quadrat.predictions import Detections
from quadrat.tasks.detect.judge import settings_in_force
from quadrat.tasks.detect.thresholds import Thresholds
from quadrat.types import Part
from tests.detectors import encode, package, specs
from tests.tasks.detect.frames import frame
from tests.tasks.folding import make_task, predict
from tests.values import settings_of

BOXES = [[2, 2, 12, 12], [22, 2, 32, 12], [2, 22, 12, 32], [22, 22, 32, 32]]


def found(
    words: dict[str, Any],
    scores: list[float],
    classes: list[int],
    *,
    time_s: float | None = None,
    **settings: Any,
) -> Detections:
    """Detect four objects apart from each other with an archive of two classes that states `words`."""
    one = make_task(package("yolov8", 2, **words), specs("yolov8", 2), settings_of(**settings))
    arrays = encode("yolov8", BOXES, scores, classes, num_classes=2)
    return predict(one, frame(time_s=time_s), [Part(arrays, Geometry.identity((64, 64)))])


@pytest.mark.parametrize(
    ("words", "settings", "kept"),
    [
        ({}, {}, [0.4, 0.3]),
        ({"threshold": 0.35}, {}, [0.4]),
        ({"threshold": 0.1}, {}, [0.4, 0.3, 0.2]),
        ({"threshold": [0.5, 0.15]}, {}, [0.3, 0.2]),
        ({"threshold": [0.15, 0.5]}, {}, [0.4]),
        ({"threshold": [0.5, 0.5]}, {"min_score": 0.25}, [0.4, 0.3]),
        ({"threshold": 0.1}, {"min_score": 0.35}, [0.4]),
    ],
    ids=str,
)
def test_the_archive_states_scores_and_min_score_overrides_them(
    words: dict[str, Any], settings: dict[str, Any], kept: list[float]
) -> None:
    """Without min-score the thresholds of the archive apply; a given min-score applies to all classes."""
    got = found(words, [0.4, 0.3, 0.2, 0.05], [0, 1, 1, 1], **settings)
    np.testing.assert_allclose(got.scores, kept, atol=1e-6)


def test_thresholds_for_another_number_of_classes_are_refused() -> None:
    """At the start of an order, before any image."""
    with pytest.raises(ClassesError, match="3 thresholds, but has 2 classes"):
        found({"threshold": [0.5, 0.5, 0.5]}, [0.5] * 4, [0] * 4)


def test_faint_objects_are_kept_for_bytetrack_down_to_its_floor() -> None:
    """Of classes with the lowest threshold only: nothing later could tell those of a stricter class from full ones."""
    values = {"time_s": 1.0, "tracker": "bytetrack"}
    np.testing.assert_allclose(found({}, [0.4, 0.3, 0.2, 0.05], [0] * 4, **values).scores, [0.4, 0.3, 0.2])
    words = {"threshold": [0.35, 0.25]}
    got = found(words, [0.4, 0.3, 0.2, 0.22], [0, 0, 0, 1], **values)
    np.testing.assert_allclose(got.scores, [0.4, 0.22])


@pytest.mark.parametrize(
    ("words", "settings", "least"),
    [({}, {}, 0.25), ({"threshold": [0.5, 0.1]}, {}, 0.1), ({"threshold": 0.5}, {"min_score": 0.3}, 0.3)],
)
def test_the_score_in_force_is_the_least_of_all_classes(
    words: dict[str, Any], settings: dict[str, Any], least: float
) -> None:
    """Trackers, run.json and the idle time use one number."""
    given_ = settings_of(**settings)
    assert least == settings_in_force(package("yolov8", 2, **words), given_).objects.min_score


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.integers(0, 2)), max_size=20),
    st.tuples(*[st.floats(0, 1, width=16)] * 3),
)
def test_without_a_floor_exactly_the_scores_of_a_class_decide(
    objects: list[tuple[float, int]], each: tuple[float, ...]
) -> None:
    """An object is kept if and only if its score is at least its class's threshold."""
    scores = np.array([score for score, _ in objects], np.float32)
    classes = np.array([kind for _, kind in objects], np.int64)
    thresholds = Thresholds(each)
    kept = thresholds.kept(scores, classes, thresholds.least)
    assert kept.tolist() == [
        bool(score >= np.float32(each[kind])) for score, kind in zip(scores, classes, strict=True)
    ]


def test_class_agnostic_nms_keeps_one_of_two_classes() -> None:
    """The archive states it: of two boxes in one place the better one stays, whatever their classes."""
    arrays = encode("yolov8", [BOXES[0], BOXES[0], BOXES[3]], [0.6, 0.9, 0.5], [0, 1, 0], num_classes=2)
    part = Part(arrays, Geometry.identity((64, 64)))
    for words, count in (({}, 3), ({"nms": "agnostic"}, 2), ({"nms": "none"}, 3)):
        one = make_task(package("yolov8", 2, **words), specs("yolov8", 2), settings_of())
        got = predict(one, frame(), [part])
        assert count == len(got)
    assert (
        1
        == predict(
            make_task(package("yolov8", 2, nms="agnostic"), specs("yolov8", 2), settings_of()),
            frame(),
            [part],
        ).classes[0]
    )


def test_a_network_with_nms_inside_can_be_given_more() -> None:
    """`nms` per-class drops what overlaps, for exports whose NMS keeps too much."""
    arrays = encode("yolov10", [BOXES[0], BOXES[0]], [0.6, 0.9], [0, 0], num_classes=2)
    for words, count in (({}, 2), ({"nms": "per-class"}, 1)):
        one = make_task(package("yolov10", 2, **words), specs("yolov10", 2), settings_of())
        assert count == len(predict(one, frame(), [Part(arrays, Geometry.identity((64, 64)))]))


def test_class_agnostic_nms_holds_across_tiles() -> None:
    """One tile calls an object a fish and the next one a crab: one of them stays."""
    values = settings_of(tile_size=64, tile_overlap=32)
    for words, count in (({}, 2), ({"nms": "agnostic"}, 1)):
        one = make_task(package("yolov8", 2, **words), specs("yolov8", 2), values)
        of = frame(64, 96)
        fold = one.start(of)
        for number, window in enumerate(fold.windows):
            box = [[40 - window.left, 10, 60 - window.left, 30]]
            arrays = encode("yolov8", box, [0.9 - 0.1 * number], [number % 2], num_classes=2)
            fold.add(number, Part(arrays, Geometry.identity((64, 96)).cropped(window)))
        assert count == len(fold.finish())
