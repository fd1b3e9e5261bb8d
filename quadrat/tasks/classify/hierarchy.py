"""The names of a classifier as a tree: its classes, and the names above them, whose probabilities are sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quadrat.package.classes import class_urn
from quadrat.package.colors import default_color
from quadrat.package.labels import LabelWords, depths
from quadrat.types import ClassInfo


@dataclass(frozen=True, slots=True, eq=False)
class Hierarchy:
    """N names: the K classes by index, then the names above them.

    `above` (N, K) float64 is 1 where a class is a name itself or below it; `depth` (N,) counts the names above each;
    `levels` has the rank of each name, "" without one.
    """

    names: tuple[ClassInfo, ...]
    above: NDArray[np.float64]
    depth: NDArray[np.int64]
    levels: tuple[str, ...]

    @classmethod
    def of(cls, classes: Sequence[ClassInfo], words: LabelWords, urn: str) -> Hierarchy:
        """Make the tree of an archive's classes; `urn` is the beginning of the URNs of the names above them.

        A class that has neither a parent nor a class below it, such as "blank", has no rank.
        """
        place = {info.name: at for at, info in enumerate(classes)}
        names = list(classes)
        for name in words.parents:
            if name not in place:
                place[name] = len(names)
                names.append(ClassInfo(len(names), class_urn(name, urn), name, default_color(len(names))))
        above = np.zeros((len(names), len(classes)))
        for at, info in enumerate(classes):
            here: str | None = info.name
            while here is not None:
                above[place[here], at] = 1
                here = words.parents.get(here)
        known = depths(words.parents)
        depth = np.array([known.get(info.name, 0) for info in names], np.int64)
        alone = [
            words.parents.get(info.name) is None and info.name not in words.parents.values() for info in names
        ]
        levels = tuple(
            words.levels[deep] if words.levels and not single else ""
            for deep, single in zip(depth.tolist(), alone, strict=True)
        )
        return cls(tuple(names), above, depth, levels)

    def roll_up(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability (..., N) of every name: the sum over the classes at and below it, at most 1."""
        if len(self.names) == len(self.above[0]) and not self.depth.any():
            return scores.astype(np.float64)
        return np.minimum(scores.astype(np.float64) @ self.above.T, 1.0)
