"""Arrays -> meaning in source pixels; one module per task, found here by name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import cast

from quadrat.errors import ManifestError, ParameterError
from quadrat.protocols import Task
from quadrat.settings import OF_OBJECTS, Settings
from quadrat.types import ModelPackage, OutputSpec

TASKS = {"segment": "quadrat.tasks.segment:Segment", "detect": "quadrat.tasks.detect:Detect"}

PICTURES = {"segment": ("pseudo", "labels", "confidence", "overlay"), "detect": ("annotated",)}
"""The pictures that each task has."""


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
    _check_pictures(package, settings)
    _check_objects(package, settings)
    module, attribute = TASKS[package.task].split(":")
    return cast(Task, getattr(import_module(module), attribute)(package, outputs, settings))


def _check_pictures(package: ModelPackage, settings: Settings) -> None:
    """Refuse outputs of which the task has none; others may be of a task that comes later."""
    known = PICTURES[package.task]
    if settings.outputs and not {*known, "none"} & set(settings.outputs):
        raise ParameterError(
            f"the model {package.name!r} ({package.task}) has no picture {', '.join(settings.outputs)}",
            where="outputs",
            hint=f"Choose from {', '.join(known)}, or leave it out",
        )


def _check_objects(package: ModelPackage, settings: Settings) -> None:
    """Refuse what is for objects where the model makes masks; what is for masks each task knows itself."""
    if package.task != "detect" and (given := settings.changed(OF_OBJECTS)):
        raise ParameterError(
            f"the model {package.name!r} makes masks, and this is for objects",
            where=given[0],
            hint=f"Leave --{given[0]} out",
        )
