"""Network outputs of one part -> labels and confidence, or scores, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError, EngineRunError, GraphError
from quadrat.geometry import HW
from quadrat.tasks.segment.scores import Mask, check_count, check_finite, decide
from quadrat.types import UNKNOWN, Part

_LOWEST = np.float32(-1e30)
"""Replaces minus infinity in scores that are blended: infinity minus infinity would be NaN."""


class OutputReader:
    """Reads the outputs that a segmentation network gives for one part.

    `roles` maps "labels", "confidence" and "logits" to tensor names; `num_classes` is None if the archive lists
    no classes. Everything returned is in tensor pixels, (h, w) = `part.geometry.tensor_hw`.
    """

    def __init__(self, model: str, num_classes: int | None, roles: Mapping[str, str]) -> None:
        self._model = model
        self._num_classes = num_classes
        self._roles = roles
        self.gives_scores = "logits" in roles
        self.gives_confidence = self.gives_scores or "confidence" in roles

    def read(self, part: Part) -> Mask:
        """Return labels (h, w) uint8 and confidence (h, w) float16, None if the network gives neither it nor scores.

        Raises ClassesError for a label outside the classes, EngineRunError for NaN or infinity and for missing
        outputs, GraphError if the size differs from the input's.
        """
        given = {role: part.arrays[name] for role, name in self._roles.items() if name in part.arrays}
        labels, confidence = None, None
        if "logits" in given:
            labels, confidence = decide(given["logits"])
        if "confidence" in given:
            confidence = _plane(given["confidence"]).astype(np.float16)
            if not np.isfinite(confidence).all():
                raise EngineRunError("the network gave NaN or infinite confidences", where=self._model)
        if "labels" in given:
            labels = self._as_labels(_plane(given["labels"]))
        if labels is None:
            raise self._nothing()
        self._check_size(labels.shape, part.geometry.tensor_hw)
        return labels, confidence

    def read_scores(self, part: Part) -> NDArray[np.floating]:
        """Return the scores (K, h, w) with minus infinity replaced, so that they can be blended.

        Raises ClassesError for fewer than two channels, EngineRunError and GraphError as `read`.
        """
        name = self._roles["logits"]
        if name not in part.arrays:
            raise self._nothing()
        scores: NDArray[np.floating] = part.arrays[name]
        check_count(scores)
        self._check_size(scores.shape[1:], part.geometry.tensor_hw)
        if np.isfinite(scores).all():
            return scores
        check_finite(scores.max(axis=0))
        return np.asarray(np.maximum(scores, _LOWEST))

    def _nothing(self) -> EngineRunError:
        return EngineRunError("the engine returned none of the requested outputs", where=self._model)

    def _check_size(self, given: tuple[int, ...], expected: HW) -> None:
        """Refuse a mask of another size than the input: stretched labels would measure a wrong cover."""
        if given != expected:
            raise GraphError(
                f"the network gives {given[1]} x {given[0]} pixels for an input of {expected[1]} x {expected[0]}",
                where=self._model,
                hint="Export the model with export_model, which resizes its scores to the input's size",
            )

    def _as_labels(self, plane: NDArray[Any]) -> NDArray[np.uint8]:
        """Narrow integers (h, w) to uint8; ClassesError for a value that is no class."""
        low, high = int(plane.min()), int(plane.max())
        limit = self._num_classes if self._num_classes is not None else UNKNOWN
        if low < 0 or high >= limit:
            raise ClassesError(
                f"the network gives class {low if low < 0 else high}, but there are {limit} classes (0 to {limit - 1})",
                where=self._model,
                hint="List every class of the network in meta.json",
            )
        return plane.astype(np.uint8, copy=False)


def _plane(array: NDArray[Any]) -> NDArray[Any]:
    """Reshape (1, h, w) to (h, w), and leave (h, w) as it is."""
    plane = array.squeeze(0) if array.ndim == 3 and array.shape[0] == 1 else array
    if plane.ndim != 2:
        raise EngineRunError(f"an output has the shape {array.shape}; expected one plane (H, W)")
    return plane
