"""Probabilities of classes -> labels: thresholds, the hierarchy, and how unsure the classifier is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.package.classes import class_of
from quadrat.package.labels import THRESHOLD, LabelWords, read_labels
from quadrat.parameters import LabelSettings
from quadrat.predictions import Classification, Label
from quadrat.tasks.classify.hierarchy import Hierarchy
from quadrat.types import ClassInfo

UNSURE = "unsure"
"""What stands for the label of a picture for which no label passes its threshold."""
NO_LABEL = "no label"
"""What stands for the labels of a picture that has none of several possible ones."""
_LEAST = 1e-9
"""Stands for a threshold of 0 where a probability is divided by it."""
LEAST_TOP = 2
"""A classification has at least its two best classes, whatever top-k is."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelRule:
    """How the labels of a picture follow from the probabilities of its classes.

    `thresholds` (N,) is the least probability of each name; that of a name above classes is the highest of those
    below it.
    """

    hierarchy: Hierarchy
    thresholds: NDArray[np.float64]
    top_k: int
    multi_label: bool

    @classmethod
    def of(
        cls,
        stated: Mapping[str, Any],
        classes: Sequence[ClassInfo],
        count: int,
        urn: str,
        settings: LabelSettings,
    ) -> LabelRule:
        """Make the rule of an archive: `stated` is its meta.json or the parts that `read_labels` reads.

        `count` is its number of classes; those that are not listed are named after their index.
        """
        words = read_labels(stated)
        known = {info.index: info for info in classes}
        listed = [class_of(known, index, urn) for index in range(count)]
        hierarchy = Hierarchy.of(listed, words, urn)
        own = np.zeros(len(hierarchy.names))
        own[:count] = _limits(words, settings, count)
        thresholds = hierarchy.fold(own, np.maximum)
        top_k = words.top_k if settings.top_k is None else settings.top_k
        return cls(hierarchy, thresholds, min(top_k, count), words.multi_label)

    @property
    def names(self) -> tuple[ClassInfo, ...]:
        """All names that a label can have: the classes, then those above them."""
        return self.hierarchy.names

    def classify(
        self, scores: NDArray[np.float32], features: NDArray[np.float32] | None = None
    ) -> Classification:
        """Label a picture by the calibrated probabilities (K,) of its classes."""
        return self.choose(
            self.hierarchy.roll_up(scores), scores, entropy(scores, self.multi_label), features
        )

    def choose(
        self,
        probabilities: NDArray[np.float64],
        scores: NDArray[np.float32],
        unsure: float,
        features: NDArray[np.float32] | None = None,
        *,
        several: bool = False,
    ) -> Classification:
        """Label a picture by the probabilities (N,) of all names; `scores` (K,) are those of its classes.

        With one label per picture, that is the class that passes its threshold by the largest factor: the most probable
        one if all have the same threshold. If none passes, it is the most probable name of the deepest level, of the names
        above classes that pass and are at least as probable as every class. With `several`, all classes that pass are
        labels, as in a video that shows one thing after another. A class that is above others passes by its own
        probability, or it would hide every class below it; its label has the sum.
        """
        order = np.argsort(-scores, kind="stable")
        top = tuple(self._label(at, scores) for at in order[: max(self.top_k, LEAST_TOP)].tolist())
        chosen: list[int] = []
        if self.multi_label or several:
            chosen = order[_reach(scores, self.thresholds[: len(scores)])[order]].tolist()
        if not (self.multi_label or chosen):
            chosen = self._one(order, scores, probabilities)
        labels = tuple(self._label(at, probabilities) for at in chosen)
        return Classification(scores, features, labels, top, unsure, self.multi_label, self.classify)

    def _one(
        self, order: NDArray[np.intp], scores: NDArray[np.float32], probabilities: NDArray[np.float64]
    ) -> list[int]:
        """Return the name of the only label; `order` are the classes by probability."""
        own = self.thresholds[: len(scores)]
        classes = order[_reach(scores, own)[order]]
        if classes.size:
            return [int(classes[np.argmax((scores / np.maximum(own, _LEAST))[classes])])]
        likelier = probabilities >= probabilities[order[0]]
        passing = _reach(probabilities, self.thresholds)
        above = np.flatnonzero(passing & likelier & (self.hierarchy.classes > 1))
        if not above.size:
            return []
        rank = np.lexsort((above, -probabilities[above], -self.hierarchy.depth[above]))
        return [int(above[rank[0]])]

    def _label(self, at: int, probabilities: NDArray[Any]) -> Label:
        info = self.names[at]
        return Label(at, info.id, info.name, self.hierarchy.levels[at], float(probabilities[at]))


def _reach(probabilities: NDArray[Any], thresholds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return True where a probability is at least its threshold, as float32: 0.9 reaches a threshold of 0.9."""
    return np.asarray(probabilities.astype(np.float32) >= thresholds.astype(np.float32))


def nothing_of(multi_label: bool) -> str:
    """Return what stands in tables and pictures for a picture without a label."""
    return NO_LABEL if multi_label else UNSURE


def entropy(scores: NDArray[np.float32], multi_label: bool) -> float:
    """Return the Shannon entropy in bits of one label among K, or of K labels that hold independently."""
    known = scores.astype(np.float64)
    shares = np.stack([known, 1 - known]) if multi_label else known
    sure = shares[shares > 0]
    return float(max(0.0, -(sure * np.log2(sure)).sum()))


def _limits(words: LabelWords, settings: LabelSettings, count: int) -> tuple[float, ...]:
    """Return the threshold of each class: the parameter, what the archive states, or the usual one."""
    if settings.min_probability is not None:
        return (settings.min_probability,) * count
    stated = words.threshold or (THRESHOLD,)
    return stated if len(stated) == count else (stated[0],) * count
