"""Arrays -> meaning in source pixels; one module per task, found here by name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import cast

from quadrat.errors import ManifestError
from quadrat.parameters import Settings
from quadrat.parameters.applies import check_tasks
from quadrat.protocols import Task
from quadrat.types import ModelPackage, OutputSpec

TASKS = {"segment": "quadrat.tasks.segment.task:Segment", "detect": "quadrat.tasks.detect.task:Detect"}

PICTURES = {"segment": ("pseudo", "labels", "confidence", "overlay"), "detect": ("annotated",)}
"""The pictures that each task has."""


def check(package: ModelPackage, settings: Settings) -> None:
    """Raise ParameterError for settings that do not apply to the archive's task; ManifestError for an unknown task."""
    if package.task not in TASKS:
        raise ManifestError(
            f"its task {package.task!r} is not one that this version has",
            where=package.name,
            hint="It has: " + ", ".join(TASKS),
        )
    check_tasks(settings, {package.name: package.task}, PICTURES)


def make(package: ModelPackage, outputs: Sequence[OutputSpec], settings: Settings) -> Task:
    """Make the task that the archive names, for a network with these outputs.

    Raises ManifestError for a task we do not have, ClassesError where classes and outputs do not
    agree, ParameterError where the settings ask for what the network does not give.
    """
    if package.task not in TASKS:
        raise ManifestError(
            f"its task {package.task!r} is none that this version has",
            where=package.name,
            hint="It has: " + ", ".join(TASKS),
        )
    module, attribute = TASKS[package.task].split(":")
    return cast(Task, getattr(import_module(module), attribute)(package, outputs, settings))
