"""What a classifier says about one object that a detector found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quadrat.predictions import Classification, Label
from quadrat.tasks.classify.rule import nothing_of
from quadrat.types import ClassInfo


def cells(found: Classification, _classes: Sequence[ClassInfo], *_groups: object) -> dict[str, Any]:
    """Return the cells of an object in objects.csv: its labels, and the two most probable classes.

    Without a label, the cell of the label says so, and its probability is empty.
    """
    made: dict[str, Any] = {
        "label": "; ".join(label.name for label in found.labels) or nothing_of(found.multi_label),
        "label_id": " ".join(label.id for label in found.labels),
        "level": "; ".join(label.level for label in found.labels if label.level),
        "probability": "; ".join(f"{label.probability:.6f}" for label in found.labels),
        "entropy": f"{found.entropy:.4f}",
    }
    for place in (1, 2):
        label: Label | None = found.top[place - 1] if len(found.top) >= place else None
        made[f"class_{place}"] = "" if label is None else label.name
        made[f"probability_{place}"] = "" if label is None else f"{label.probability:.6f}"
    return made


def best(found: Classification, *_groups: object) -> tuple[int, float] | None:
    """Return index and probability of the most probable label; None if the classifier is unsure.

    The index is that of a class, or of a name above classes, which follow the classes in the order of `label_names`.
    """
    label = max(found.labels, key=lambda each: each.probability, default=None)
    return None if label is None else (label.index, label.probability)
