"""Network outputs of one part -> labels and confidence, or scores, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError, EngineRunError, GraphError
from quadrat.geometry import HW
from quadrat.package.masks import MaskWords
from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.tasks.segment import independent
from quadrat.tasks.segment.scores import (
    are_probabilities,
    check_count,
    check_finite,
    decide,
    refuse_independent,
)
from quadrat.types import Part

NOTHING_STATED = MaskWords()
"""Of an archive that states nothing about its scores."""
_LOWEST = np.float32(-1e30)
"""Replaces minus infinity in scores that are blended: infinity minus infinity would be NaN."""


class OutputReader:
    """Reads the outputs that a segmentation network gives for one part.

    `roles` maps "labels", "confidence" and "logits" to tensor names; `num_classes` is None if the archive lists
    no classes, and `words` is what it states about the scores. Everything returned is in tensor pixels, (h, w) =
    `part.geometry.tensor_hw`.
    """

    def __init__(
        self, model: str, num_classes: int | None, roles: Mapping[str, str], words: MaskWords = NOTHING_STATED
    ) -> None:
        self._model = model
        self._num_classes = num_classes
        self._roles = roles
        self._words = words
        self.gives_scores = "logits" in roles
        self.gives_confidence = self.gives_scores or "confidence" in roles
        self.multi_label = words.multi_label

    def read(self, part: Part) -> Segmentation:
        """Return the mask (h, w); its confidence is None if the network gives neither it nor scores.

        Raises ClassesError for a label outside the classes, EngineRunError for NaN or infinity and for missing
        outputs, GraphError if the size differs from the input's.
        """
        given = {role: part.arrays[name] for role, name in self._roles.items() if name in part.arrays}
        labels, confidence, members = None, None, None
        if "logits" in given:
            check_numbers(given["logits"], self._model)
            found = self.decide(given["logits"])
            labels, confidence, members = found.labels, found.confidence, found.members
        if "confidence" in given:
            confidence = self._plane(given["confidence"]).astype(np.float16)
            if not np.isfinite(confidence).all():
                raise EngineRunError("the network gave NaN or infinite confidences", where=self._model)
        if "labels" in given:
            labels = self._as_labels(self._plane(given["labels"]))
        if labels is None:
            raise self._nothing()
        self._check_size(labels.shape, part.geometry.tensor_hw)
        return Segmentation(labels, confidence, members)

    def decide(self, scores: NDArray[Any], *, probabilities: bool | None = None) -> Segmentation:
        """Return the mask (h, w) of finite scores (K, h, w), as the archive states what they mean.

        For an archive that states nothing, `probabilities` is as in `scores.decide`. Raises EngineRunError and
        ClassesError.
        """
        words, channels = self._words, len(scores)
        if words.activation in (None, "softmax") and not words.by_threshold:
            if words.activation == "softmax":
                probabilities = False  # stated, so the values are not asked
            return Segmentation(*decide(scores, probabilities=probabilities))
        known = independent.as_probabilities(scores, words.activation)
        if not words.by_threshold:
            return Segmentation(*independent.best_member(known, (-1.0,) * channels))
        if words.multi_label:
            return Segmentation(
                *independent.best_member(known, words.thresholds(channels)),
                independent.members(known, words.thresholds(channels)),
            )
        return Segmentation(*self._with_background(known))

    def still_probabilities(self, scores: NDArray[Any], before: bool) -> bool:
        """Return True if scores (K, h, w) are probabilities too, for an archive that states nothing about them.

        `before` is the answer for the earlier tiles of the frame, True for the first. Raises ManifestError for
        independent probabilities.
        """
        if self._words.activation is not None or not before:
            return False
        found = are_probabilities(scores)
        if not found:
            refuse_independent(scores)
        return found

    def _with_background(self, known: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
        """Return class and confidence (h, w) of probabilities (K, h, w); pixels over no threshold are background."""
        background, channels = self._words.background, len(known)
        classes = self._words.scored(self._num_classes, channels)
        own = [place for place, index in enumerate(classes) if index != background]
        limits = self._words.thresholds(channels)
        if len(limits) != channels:  # the list has no number for a background that has a channel of its own
            limits = self._words.thresholds(len(own))
        else:
            limits = tuple(limits[place] for place in own)
        best, confidence = independent.best_member(known[own], limits)
        table = np.full(256, background, np.uint8)
        table[: len(own)] = [classes[place] for place in own]
        if len(own) < channels:
            nothing = best == UNKNOWN
            confidence[nothing] = known[classes.index(background or 0)][nothing]
        return table[best], confidence

    def read_scores(self, part: Part) -> NDArray[np.floating]:
        """Return the scores (K, h, w) with minus infinity replaced, so that they can be blended.

        Raises ClassesError for fewer than two channels, EngineRunError and GraphError as `read`.
        """
        name = self._roles["logits"]
        if name not in part.arrays:
            raise self._nothing()
        scores: NDArray[np.floating] = part.arrays[name]
        check_numbers(scores, self._model)
        if not self._words.by_threshold:
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
        """Narrow whole numbers (h, w) to uint8.

        Raises EngineRunError for fractions, NaN and infinity, and ClassesError for a value that is no class.
        """
        if np.issubdtype(plane.dtype, np.floating) and not np.array_equal(plane, np.rint(plane)):
            # NaN equals nothing, infinity is caught below as a class that is not listed
            wrong = plane[plane != np.rint(plane)][0]
            raise EngineRunError(
                f"the network gave the label {wrong:.6g}, which is not the index of a class", where=self._model,
                hint='If the output holds scores or probabilities, name it "logits" in meta.json: outputs',
            )  # fmt: skip
        low, high = plane.min(), plane.max()
        limit = self._num_classes if self._num_classes is not None else UNKNOWN
        if low < 0 or high >= limit:
            raise ClassesError(
                f"the network gives class {low if low < 0 else high}, but there are {limit} classes (0 to {limit - 1})",
                where=self._model,
                hint="List every class of the network in meta.json",
            )
        return plane.astype(np.uint8, copy=False)

    def _plane(self, array: NDArray[Any]) -> NDArray[Any]:
        """Reshape (1, h, w) to (h, w), and leave (h, w) as it is."""
        check_numbers(array, self._model)
        plane = array.squeeze(0) if array.ndim == 3 and array.shape[0] == 1 else array
        if plane.ndim != 2:
            raise EngineRunError(
                f"an output has the shape {array.shape}; expected one plane (H, W)", where=self._model
            )
        return plane


def check_numbers(array: NDArray[Any], model: str) -> None:
    """Raise EngineRunError for an output that is empty or does not hold numbers."""
    if not array.size:
        raise EngineRunError(f"an output of the network is empty: its shape is {array.shape}", where=model)
    if array.dtype.kind not in "biuf":
        raise EngineRunError(f"an output of the network holds {array.dtype}, not numbers", where=model)
