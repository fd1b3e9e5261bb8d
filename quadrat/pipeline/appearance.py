"""What a tracker by appearance compares: the vectors that a model gives a detector's objects, or their colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import VectorError
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.predictions import Detections, Embedding
from quadrat.tracking import compares_appearance
from quadrat.tracking.appearance import embed
from quadrat.types import Frame

COLOURS = "colours"
"""What a tracker compares without a model of vectors, in the record of a run."""


class Appearance:
    """The appearance of the objects of one source: vectors of the model `vectors`, or colours if that is None."""

    def __init__(self, vectors: str | None = None) -> None:
        self._vectors = vectors
        self._length: int | None = None

    def embeddings(self, frame: Frame, found: Detections) -> NDArray[np.float32] | None:
        """Return an embedding (N, D) float32 for each object; one of zeros is unknown, and None if all are.

        Raises VectorError if the vectors of a source differ in length.
        """
        if self._vectors is None:
            return _colours(frame, found)
        results = found.details.get(self._vectors, ())
        own = {row: each.prediction.vector for row, each in enumerate(results) if each is not None}
        for vector in own.values():
            self._length = self._length or len(vector)
            if len(vector) != self._length:
                raise VectorError(
                    f"its vectors have {self._length} and {len(vector)} values, and cannot be compared",
                    where=self._vectors,
                    hint="Export the network with a fixed size of its input",
                )
        if self._length is None:
            return None
        embeddings = np.zeros((len(found), self._length), np.float32)
        for row, vector in own.items():
            embeddings[row] = vector
        return embeddings


def _colours(frame: Frame, found: Detections) -> NDArray[np.float32]:
    """Describe the colours of each object; boxes go from source to working pixels."""
    (height, width), (source_h, source_w) = frame.pixels.shape[:2], frame.source_hw
    scale = np.array([width / source_w, height / source_h] * 2, np.float32)
    return embed(frame.pixels, found.boxes * scale)


def model_of_vectors(models: Pass, detector: str) -> LoadedModel | None:
    """Return the model whose vectors the tracker of a detector compares; None if it compares colours, or nothing."""
    if not compares_appearance(models[detector].settings.tracking.tracker):
        return None
    own = (each for each in models.on_objects if each.kind.prediction is Embedding)
    return next((each for each in own if each.about and each.about.detector == detector), None)


def appearance_of(models: Pass, detector: str) -> str | None:
    """Return what the tracker of a detector compares: COLOURS, or the name and digest of a model; None for motion alone."""
    model = models[detector]
    if not (model.kind.tracks and compares_appearance(model.settings.tracking.tracker)):
        return None
    vectors = model_of_vectors(models, detector)
    return COLOURS if vectors is None else f"vectors of {vectors.name}, sha256 {vectors.package.digest}"
