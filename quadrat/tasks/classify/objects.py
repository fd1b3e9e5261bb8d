"""What a classifier says about one object that a detector found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quadrat.package.labels import read_labels
from quadrat.predictions import Classification
from quadrat.task_kinds import kind_of
from quadrat.tasks.classify.hierarchy import Hierarchy
from quadrat.tasks.classify.rule import nothing_of
from quadrat.types import ClassInfo, ModelPackage

JOINED = "; "
"""Stands between several labels in a cell."""


def cells(found: Classification, _classes: Sequence[ClassInfo], *_groups: object) -> dict[str, Any]:
    """Return the cells of an object in objects.csv: its labels, and the two most probable classes.

    Without a label, the cell of the class says so, and that of its score is empty. Several labels stand in one cell.
    """
    numbers: list[float] = [round(label.probability, 4) for label in found.labels]
    made: dict[str, Any] = {
        "class_id": " ".join(label.id for label in found.labels),
        "class": JOINED.join(label.name for label in found.labels) or nothing_of(found.multi_label),
        "level": JOINED.join(label.level for label in found.labels if label.level),
        "score": numbers[0] if len(numbers) == 1 else JOINED.join(map(str, numbers)),
        "entropy": round(found.entropy, 4),
    }
    for place in (1, 2):
        label = found.top[place - 1] if len(found.top) >= place else None
        made[f"class_{place}"] = "" if label is None else label.name
        made[f"score_{place}"] = "" if label is None else round(label.probability, 4)
    return made


def best(found: Classification, *_groups: object) -> tuple[int, float] | None:
    """Return index and probability of the most probable label; None if the classifier is unsure.

    The index is one of `names`: that of a class, or of a name above classes.
    """
    label = max(found.labels, key=lambda each: each.probability, default=None)
    return None if label is None else (label.index, label.probability)


def names(package: ModelPackage) -> tuple[ClassInfo, ...]:
    """Return the classes of an archive and, after them, the names above them."""
    urn = kind_of(package.task).class_urn
    return Hierarchy.of(package.classes, read_labels(package.meta), urn).names
