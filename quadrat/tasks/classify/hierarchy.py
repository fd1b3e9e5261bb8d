"""The names of a classifier as a tree: its classes, and the names above them, whose probabilities are sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.package.classes import class_urn
from quadrat.package.colors import default_color
from quadrat.package.labels import LabelWords, depths
from quadrat.types import ClassInfo


@dataclass(frozen=True, slots=True, eq=False)
class Hierarchy:
    """N names: the K classes by index, then the names above them.

    `parent` (N,) is the place of the name above each, -1 above a root; `depth` (N,) counts the names above each;
    `levels` has the rank of each name, "" without one; `classes` (N,) counts the classes at and below each name.
    """

    names: tuple[ClassInfo, ...]
    parent: NDArray[np.int64]
    depth: NDArray[np.int64]
    levels: tuple[str, ...]
    classes: NDArray[np.int64]

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
        above = [words.parents.get(info.name) for info in names]
        parent = np.array([-1 if name is None else place[name] for name in above], np.int64)
        known = depths(words.parents)
        depth = np.array([known.get(info.name, 0) for info in names], np.int64)
        parents = set(parent.tolist())
        levels = tuple(
            words.levels[deep] if words.levels and (up >= 0 or at in parents) else ""
            for at, (deep, up) in enumerate(zip(depth.tolist(), parent.tolist(), strict=True))
        )
        tree = cls(tuple(names), parent, depth, levels, np.zeros(0, np.int64))
        own = np.arange(len(names)) < len(classes)
        return cls(tree.names, parent, depth, levels, tree.fold(own.astype(np.int64), np.add))

    def roll_up(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability (N,) of every name: the sum over the classes at and below it, at most 1."""
        own = np.zeros(len(self.names))
        own[: len(scores)] = scores
        return np.asarray(np.minimum(self.fold(own, np.add), 1.0), np.float64)

    def fold(self, values: NDArray[Any], function: np.ufunc) -> NDArray[Any]:
        """Combine the value of each name (N,) with those of all names below it, from the deepest level up."""
        folded = values.copy()
        for depth in range(int(self.depth.max(initial=0)), 0, -1):
            (places,) = np.nonzero(self.depth == depth)
            function.at(folded, self.parent[places], folded[places])
        return folded
