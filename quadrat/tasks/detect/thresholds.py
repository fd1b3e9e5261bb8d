"""The least scores of objects: one for all classes, or one for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError
from quadrat.package.detectors import DetectWords
from quadrat.parameters import ObjectSettings


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The least score of an object: `each` by class index, or the only one of `each` for all classes."""

    each: tuple[float, ...]

    @property
    def least(self) -> float:
        """The lowest of all thresholds."""
        return min(self.each)

    def kept(self, scores: NDArray[np.float32], classes: NDArray[Any], floor: float) -> NDArray[np.bool_]:
        """Return True (N,) for objects that have their class's threshold.

        With a lower `floor`, objects of classes whose threshold is the lowest are kept down to it: they may continue
        tracks. Objects of stricter classes are not, because nothing later could tell them from those that count.
        """
        given = np.array(self.each, np.float32)
        limits = given[classes] if len(given) > 1 else np.broadcast_to(given, scores.shape)
        faint = (limits == np.float32(self.least)) & (scores >= np.float32(floor))
        return np.asarray((scores >= limits) | faint)


def thresholds_of(
    words: DetectWords, num_classes: int | None, objects: ObjectSettings, name: str
) -> Thresholds:
    """Return min-score for all classes if it is given, else what the archive called `name` states, else the usual one.

    Raises ClassesError if the archive states thresholds for more or fewer classes than it has.
    """
    if len(words.threshold) > 1 and len(words.threshold) != num_classes:
        raise ClassesError(
            f"it states {len(words.threshold)} thresholds, but has {num_classes or 'an unknown number of'} classes",
            where=name,
            hint="List one threshold for each class in detect.threshold of meta.json, or a single number",
        )
    if objects.min_score is not None or not words.threshold:
        return Thresholds((objects.least_score,))
    return Thresholds(words.threshold)
