"""The record of each task agrees with the task, and settings that do not apply to a task are refused."""

from __future__ import annotations

from typing import Any

import pytest

from quadrat.errors import ManifestError, ParameterError
from quadrat.parameters.applies import check_tasks
from quadrat.task_kinds import TASKS, kind_of
from quadrat.types import ModelPackage, OutputSpec
from tests import detectors
from tests.tasks.classify import labels
from tests.tasks.embed import test_task as embedding
from tests.tasks.folding import make_task
from tests.tasks.segment.masks import LABELS, package
from tests.values import settings_of

PACKAGES: dict[str, tuple[ModelPackage, tuple[OutputSpec, ...]]] = {
    "segment": (package(), (LABELS,)),
    "detect": (detectors.package("yolov8"), detectors.specs("yolov8", 2)),
    "classify": (labels.PACKAGE, (labels.VALUES,)),
    "embed": (embedding.PACKAGE, (embedding.OUTPUT,)),
    "enhance": (kind_of("enhance").part("built_in")(), ()),
}


def check(task: str, **values: Any) -> None:
    """Check settings for one model of a task."""
    check_tasks(settings_of(**values), {"tiny": task}, {task: kind_of(task).all_pictures})


@pytest.mark.parametrize("task", TASKS)
def test_the_task_that_the_archive_names_is_made(task: str) -> None:
    """Its name is the one in the archive and in its record."""
    assert task == make_task(*PACKAGES[task], settings_of()).name == kind_of(task).name


def test_an_unknown_task_is_a_fault_of_the_archive() -> None:
    """The error names the archive and lists the tasks that this version has."""
    with pytest.raises(ManifestError, match=r"tiny: .*'dance'.*segment, detect"):
        kind_of("dance", "tiny")


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
        ("classify", {"tile_size": 640}, "tile-size"),
        ("classify", {"min_score": 0.4}, "min-score"),
        ("classify", {"min_confidence": 0.4}, "min-confidence"),
        ("detect", {"min_probability": 0.4}, "min-probability"),
        ("embed", {"outputs": ("annotated",)}, "outputs"),
        ("embed", {"tile_size": 640}, "tile-size"),
    ],
)
def test_what_is_for_another_task_is_refused(task: str, values: dict[str, Any], name: str) -> None:
    """It would silently do nothing."""
    with pytest.raises(ParameterError, match=r"the task of the model .* is ") as caught:
        check(task, **values)
    assert name == caught.value.where


@pytest.mark.parametrize("task", TASKS)
def test_pictures_of_the_task_and_none_are_let_through(task: str) -> None:
    """Each by itself, and all together."""
    pictures = kind_of(task).all_pictures
    for outputs in ((), ("none",), pictures, *((one,) for one in pictures)):
        check(task, outputs=outputs)
