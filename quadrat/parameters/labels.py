"""Parameters of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quadrat.parameters.declare import LABELS, Group, parameter


@dataclass(frozen=True, slots=True)
class LabelSettings(Group):
    """Which labels of a classifier are reported."""

    title: ClassVar[str] = "labels"
    about: ClassVar[str] = "Which labels of a classifier are reported."

    min_probability: float | None = parameter(
        "float",
        "Give a picture a label only from this probability on; below it, the classifier is unsure. If unset, the "
        "thresholds that the archive states apply, or 0.5. With 0 the most probable class is always the label, "
        "or every class is one if several can hold at once.",
        low=0.0,
        high=1.0,
        tasks=LABELS,
        shapes_result=True,
        since="6",
    )
    top_k: int | None = parameter(
        "int",
        "List this many of the most probable classes of each picture. If unset, as many as the archive states, or 5.",
        unit="classes",
        low=1,
        high=1000,
        tasks=LABELS,
        shapes_result=True,
        since="6",
    )
    features: bool = parameter(
        "bool",
        "Also take the feature vector of each picture from the classifier. Needs an archive that gives features.",
        tasks=LABELS,
        shapes_result=True,
        since="6",
    )
