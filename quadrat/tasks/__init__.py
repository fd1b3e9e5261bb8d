"""Network outputs -> predictions in source pixels; one folder per task, found here by name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import cast

from quadrat.errors import ManifestError
from quadrat.parameters import Settings
from quadrat.parameters.applies import check_tasks
from quadrat.protocols import Task
from quadrat.types import ModelPackage, OutputSpec

TASKS = {"segment": "quadrat.tasks.segment.task:make", "detect": "quadrat.tasks.detect.task:make"}

PICTURES = {"segment": ("pseudo", "labels", "confidence", "overlay"), "detect": ("annotated",)}
"""The pictures that each task can draw."""


def check(package: ModelPackage, settings: Settings) -> None:
    """Raise ParameterError for settings that do not apply to the archive's task, ManifestError for an unknown task."""
    _entry(package)
    check_tasks(settings, {package.name: package.task}, PICTURES)


def make(package: ModelPackage, outputs: Sequence[OutputSpec], settings: Settings) -> Task:
    """Make the task that the archive names, for a network with these outputs.

    Raises ManifestError for an unknown task, ClassesError if classes and outputs disagree, ParameterError if the
    settings need something that the network does not give.
    """
    module, attribute = _entry(package).split(":")
    return cast(Task, getattr(import_module(module), attribute)(package, outputs, settings))


def _entry(package: ModelPackage) -> str:
    """Return where the archive's task is made."""
    if package.task not in TASKS:
        raise ManifestError(
            f"this version has no task {package.task!r}",
            where=package.name,
            hint="It has: " + ", ".join(TASKS),
        )
    return TASKS[package.task]
