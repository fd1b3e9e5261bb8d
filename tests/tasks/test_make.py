"""The task that an archive names is made, and settings that do not apply to it are refused before that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from quadrat import tasks
from quadrat.errors import ManifestError, ParameterError
from quadrat.types import ModelPackage, OutputSpec
from tests import detectors
from tests.tasks.segment.masks import LABELS, package
from tests.values import settings_of

PACKAGES: dict[str, tuple[ModelPackage, tuple[OutputSpec, ...]]] = {
    "segment": (package(), (LABELS,)),
    "detect": (detectors.package("yolov8"), detectors.specs("yolov8", 2)),
}


@pytest.mark.parametrize("task", PACKAGES)
def test_the_task_that_the_archive_names_is_made(task: str) -> None:
    """Its name is the one in the archive."""
    assert task == tasks.make(*PACKAGES[task], settings_of()).name


def test_an_unknown_task_is_a_fault_of_the_archive() -> None:
    """The error lists the tasks that this version has."""
    unknown = replace(PACKAGES["segment"][0], task="dance")
    for refused in (
        lambda: tasks.check(unknown, settings_of()),
        lambda: tasks.make(unknown, (LABELS,), settings_of()),
    ):
        with pytest.raises(ManifestError, match=r"no task 'dance'.*segment, detect"):
            refused()


@pytest.mark.parametrize(
    ("task", "values", "name"),
    [
        ("segment", {"min_score": 0.5}, "min-score"),
        ("segment", {"nms_threshold": 0.6}, "nms-threshold"),
        ("segment", {"max_detections": 5}, "max-detections"),
        ("segment", {"tile_size": 64, "merge": "wbf"}, "merge"),
        ("segment", {"tile_size": 64, "full_frame": True}, "full-frame"),
        ("segment", {"idle_seconds": 2.0}, "idle-seconds"),
        ("segment", {"tracker": "deepsort"}, "tracker"),
        ("segment", {"outputs": ("annotated",)}, "outputs"),
        ("detect", {"with_argmax": True}, "with-argmax"),
        ("detect", {"min_confidence": 0.5}, "min-confidence"),
        ("detect", {"result_size": "source"}, "result-size"),
        ("detect", {"outputs": ("pseudo",)}, "outputs"),
    ],
)
def test_what_is_for_another_task_is_refused(task: str, values: dict[str, Any], name: str) -> None:
    """It would silently do nothing."""
    with pytest.raises(ParameterError, match=r"the task of the model .* is ") as caught:
        tasks.check(PACKAGES[task][0], settings_of(**values))
    assert name == caught.value.where


@pytest.mark.parametrize("task", tasks.PICTURES)
def test_pictures_of_the_task_and_none_are_let_through(task: str) -> None:
    """Each by itself, and all together."""
    pictures = tasks.PICTURES[task]
    for outputs in ((), ("none",), pictures, *((one,) for one in pictures)):
        tasks.check(PACKAGES[task][0], settings_of(outputs=outputs))
