"""Tasks and their folds, made and driven by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from quadrat.parameters import Settings
from quadrat.task_kinds import kind_of
from quadrat.types import Frame, ModelPackage, OutputSpec, Part


def make_task(package: ModelPackage, outputs: Sequence[OutputSpec], settings: Settings) -> Any:
    """Make the task that a package names, with its groups of the settings."""
    kind = kind_of(package.task, package.name)
    return kind.part("make")(package, outputs, *kind.groups_of(settings))


def predict(task: Any, frame: Frame, parts: Iterable[Part]) -> Any:
    """Add parts to a frame's fold in order, and return its prediction."""
    fold = task.start(frame)
    for number, part in enumerate(parts):
        fold.add(number, part)
    return fold.finish()


def interleave(
    task: Any, frames: Sequence[Frame], parts: Sequence[Sequence[Part]], random: Random
) -> list[Any]:
    """Add the parts of several frames in an order drawn by `random`, and return their predictions."""
    folds = [task.start(frame) for frame in frames]
    jobs = [(which, number) for which, of in enumerate(parts) for number in range(len(of))]
    random.shuffle(jobs)
    for which, number in jobs:
        folds[which].add(number, parts[which][number])
    return [fold.finish() for fold in folds]
