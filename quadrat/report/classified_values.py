"""What tables and metadata say about the labels of a source."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import printable
from quadrat.package.classes import read_classes
from quadrat.parameters import LabelSettings
from quadrat.predictions import Classification, Label
from quadrat.records import Entry, ModelRecord
from quadrat.records import Label as FoundLabel
from quadrat.report.base import ModelFacts
from quadrat.tasks.classify.rule import LabelRule, entropy, nothing_of
from quadrat.tasks.embed.task import unit
from quadrat.types import ClassInfo

GREY = (128, 128, 128)
MOST_CLASSES = 100
"""Up to this number of names, tables have a column for each; of more, for those that were found."""
MEAN, MAX = "mean", "max"
"""How the labels of a video follow from its frames: by the mean or the maximum of each class's probability."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """The labels of a picture, or of a video `by` the mean or the maximum over its frames.

    `scores` (K,) float32 are the probabilities of the classes; `entropy` is None if they are not of one picture.
    """

    by: str
    labels: tuple[Label, ...]
    top: tuple[Label, ...]
    scores: NDArray[np.float32]
    entropy: float | None

    @classmethod
    def of(cls, found: Classification, by: str = "") -> Verdict:
        """Take the labels of a classification. The maxima over frames have no entropy: they do not sum to 1."""
        return cls(by, found.labels, found.top, found.scores, None if by == MAX else found.entropy)


@dataclass(frozen=True, slots=True, eq=False)
class LabelSummary:
    """The labels of a source: one verdict for an image, two for a video; the first is the one of the survey.

    `seen` are the indices of the labels of a video's frames; that of `absent` stands for a frame without one.
    """

    verdicts: tuple[Verdict, ...]
    seen: tuple[int, ...] = ()

    @property
    def first(self) -> Verdict:
        """The verdict that survey.csv shows: of an image, or of a video by the mean."""
        return self.verdicts[0]


class FrameSums:
    """Folds the classifications of a video's frames into its verdicts, with memory for a few vectors only."""

    def __init__(self, rule: LabelRule) -> None:
        self._rule = rule
        self._sum: NDArray[np.float64] = np.zeros(0)
        self._most: NDArray[np.float32] = np.zeros(0, np.float32)
        self._names: NDArray[np.float64] = np.zeros(0)
        self._seen: set[int] = set()
        self.frames = 0

    def add(self, found: Classification) -> None:
        """Add a frame."""
        names = self._rule.hierarchy.roll_up(found.scores)
        if not self.frames:
            self._sum, self._most, self._names = found.scores.astype(np.float64), found.scores, names
        else:
            self._sum = self._sum + found.scores
            self._most = np.maximum(self._most, found.scores)
            self._names = np.maximum(self._names, names)
        self._seen.update(label.index for label in found.labels)
        if not found.labels:
            self._seen.add(absent(self._rule).index)
        self.frames += 1

    @property
    def seen(self) -> tuple[int, ...]:
        """The indices of the labels of the frames so far, as in LabelSummary."""
        return tuple(sorted(self._seen))

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return the verdicts by mean and by maximum; none without a frame.

        The labels by maximum are all classes that pass their threshold in any frame.
        """
        if not self.frames:
            return ()
        mean = (self._sum / self.frames).astype(np.float32)
        most = self._rule.choose(
            self._names, self._most, entropy(self._most, self._rule.multi_label), several=True
        )
        return Verdict.of(self._rule.classify(mean), MEAN), Verdict.of(most, MAX)


def rule_of(model: ModelFacts) -> LabelRule:
    """Return the rule by which a model's labels are chosen."""
    settings = next((group for group in model.groups if isinstance(group, LabelSettings)), LabelSettings())
    count = model.num_classes or len(model.classes)
    if not model.stated:
        return LabelRule.of({}, model.classes, count, model.kind.class_urn, settings)
    return _stated_rule(model.stated, count, model.kind.class_urn, settings)


@lru_cache(maxsize=8)
def _stated_rule(stated: str, count: int, urn: str, settings: LabelSettings) -> LabelRule:
    """Make the rule of an archive once for all sources: it takes long for thousands of classes."""
    meta = json.loads(stated)
    classes, _ = read_classes(meta)
    return LabelRule.of(meta, classes, count, urn, settings)


def absent(rule: LabelRule) -> ClassInfo:
    """Return what stands in tables for a picture without a label; its index follows those of all names."""
    name = nothing_of(rule.multi_label)
    urn = f"urn:ibenthos:classification:{name.replace(' ', '-')}"
    return ClassInfo(len(rule.names), urn, name, GREY)


def entries(found: Classification, model: ModelFacts, *_groups: object) -> list[Entry]:
    """Return the frame, or the object, with its labels and its features at length 1, for an index."""
    labels = tuple(FoundLabel(model.name, each.id, each.name, each.probability) for each in found.labels)
    vectors = {} if found.features is None else {model.name: unit(found.features, model.name)}
    return [Entry(labels=labels, vectors=vectors)]


def summary_of(record: ModelRecord) -> LabelSummary | None:
    """Return the labels of a record; None if nothing was measured."""
    return record.summary if isinstance(record.summary, LabelSummary) and record.summary.verdicts else None


def described(label: Label) -> dict[str, Any]:
    """Return a label as plain values for JSON."""
    return {
        "class-id": label.id,
        "class": label.name,
        **({"level": label.level} if label.level else {}),
        "probability": significant(label.probability),
    }


def significant(value: float) -> float:
    """Round to six significant digits."""
    return float(f"{value:.6g}")


def text_of(labels: Sequence[Label], nothing: str) -> str:
    """Write labels with their probabilities for the log."""
    named = [f"{printable(label.name)} {100 * label.probability:.1f} %" for label in labels]
    return ", ".join(named) or nothing
