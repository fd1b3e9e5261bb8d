"""Average the probabilities of a finer model over the track of each object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quadrat.predictions import Classification, Detections, ObjectResult

SCORE_UNITS = 1 << 40
"""A probability of 1. Sums are integers, so that they do not depend on the order of adding; millions of frames fit into them.

With coarser units, the rounded probabilities of thousands of classes would not sum to 1.
"""


@dataclass(slots=True)
class _Sum:
    """The sum of a track's probabilities (K,) in SCORE_UNITS, the number of its results, and the frame of the last one."""

    scores: NDArray[np.int64]
    count: int
    last: int
    latest: ObjectResult


class MeanScores:
    """The mean probabilities of one source's tracks, for one model.

    A track begins with the probabilities of its first result. An object of a track that has no result of its own in a
    frame gets those of its track so far. A track is forgotten after `max_age` frames without its object; its number
    does not come again.
    """

    def __init__(self, model: str, max_age: int) -> None:
        self._model = model
        self._max_age = max_age
        self._sums: dict[int, _Sum] = {}
        self._frame = 0

    def update(self, detections: Detections) -> tuple[ObjectResult | None, ...]:
        """Return the results of the next frame by row, those of tracked objects smoothed. The input is not modified."""
        self._frame += 1
        given = detections.details[self._model]
        if detections.tracks is None:
            return given
        smoothed = [
            result if track < 0 else self._smoothed(track, result)
            for track, result in zip(detections.tracks.tolist(), given, strict=True)
        ]
        oldest = self._frame - self._max_age
        for number in [number for number, each in self._sums.items() if each.last < oldest]:
            del self._sums[number]
        return tuple(smoothed)

    def _smoothed(self, track: int, result: ObjectResult | None) -> ObjectResult | None:
        own = self._sums.get(track)
        if result is not None and isinstance(result.prediction, Classification):
            scores = np.rint(result.prediction.scores.astype(np.float64) * SCORE_UNITS).astype(np.int64)
            if own is None:
                own = self._sums[track] = _Sum(scores, 1, self._frame, result)
            else:
                own.scores, own.count, own.latest = own.scores + scores, own.count + 1, result
        if own is None:
            return result
        own.last = self._frame
        latest: Classification = own.latest.prediction
        mean = (own.scores / (own.count * SCORE_UNITS)).astype(np.float32)
        features = latest.features if result is own.latest else None
        return ObjectResult(own.latest.window, latest.of(mean, features))
