"""What models find in a frame, one class per task. Arrays are NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import Window


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """`labels` (H, W) uint8, a class index or UNKNOWN; `confidence` (H, W) float16 in 0..1, or None.

    With several classes per pixel, `members` (H, W, K) has the probability of each that holds, else 0.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float16] | None = None
    members: NDArray[np.float16] | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """What a picture is called: the `index`, `id` (URN) and `name` of a class or of a name above classes.

    `level` is its rank in the hierarchy, "" without one; `probability` is in 0..1. A name above classes has an index
    after those of all classes.
    """

    index: int
    id: str
    name: str
    level: str
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """`scores` (K,) float32 in 0..1, one per class, after calibration; `features` (D,) float32 if they were asked for.

    `labels` are those that pass the threshold, the most probable first; none if the classifier is unsure or, with
    several labels per picture, if no class holds. `top` are the most probable classes, at least two if there are two, whether they
    pass or not. `entropy` in bits says how unsure the classifier is: 0 if it is sure of every class. With `multi_label`,
    several labels can hold at once. `rule` makes the classification of other scores and features.
    """

    scores: NDArray[np.float32]
    features: NDArray[np.float32] | None = None
    labels: tuple[Label, ...] = ()
    top: tuple[Label, ...] = ()
    entropy: float = 0.0
    multi_label: bool = False
    rule: Callable[[NDArray[np.float32], NDArray[np.float32] | None], Classification] | None = None

    def of(self, scores: NDArray[np.float32], features: NDArray[np.float32] | None) -> Classification:
        """Return the classification of other scores, such as means over time, by the same rule."""
        return Classification(scores, features) if self.rule is None else self.rule(scores, features)


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What a picture or an object looks like: `vector` (D,) float32 of length 1."""

    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Enhanced:
    """An enhanced picture: `pixels` (H, W, 3) uint8 RGB, upright. Super-resolution changes its size."""

    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class ObjectResult:
    """What a model that is about objects finds in one object.

    `window` is the crop, in whole pixels of the upright source; `prediction` is that of the model's task, in pixels
    of the crop.
    """

    window: Window
    prediction: Any


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Objects of one frame, as columns of equal length N.

    `boxes` (N, 4) float32 as x0, y0, x1, y1 in continuous pixels of the upright source, inside it;
    `scores` (N,) float32 in 0..1; `classes` (N,) int32 class indices; `tracks` (N,) int32 are numbers that are
    unique within the source, -1 for an object without a track, or None if objects are not tracked. `capped` is True
    if there were more than max-detections, so that counts are too low. `details` holds, by the name of each model
    that is about objects, its result for each row; None for an object that it was not given or could not measure.
    `reasons` holds, by the same names, why a row was not measured: "small", "class", "failed", or "" if it was.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int32]
    tracks: NDArray[np.int32] | None = None
    capped: bool = False
    details: Mapping[str, tuple[ObjectResult | None, ...]] = field(default_factory=dict)
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the objects."""
        return len(self.scores)

    def __getitem__(self, index: NDArray[Any]) -> Detections:
        """Select objects by a mask or by indices."""
        tracks = None if self.tracks is None else self.tracks[index]
        rows = np.arange(len(self))[index].tolist() if self.details else []
        details = {model: tuple(each[row] for row in rows) for model, each in self.details.items()}
        reasons = {model: tuple(each[row] for row in rows) for model, each in self.reasons.items()}
        return Detections(
            self.boxes[index], self.scores[index], self.classes[index], tracks, self.capped, details, reasons
        )

    @classmethod
    def none(cls) -> Detections:
        """Return the detections of a frame without objects."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """What a tracker returns for a frame with N detections.

    `detections` holds the given rows with their track numbers: 1 or more for a confirmed track, else -1.
    `assigned_tracks` (N,) int64 identifies the track that each row is assigned to, confirmed or not: 0 or more in
    the order in which tracks start, never reused, -1 for a row without a track. These arrays are never modified.
    """

    detections: Detections
    assigned_tracks: NDArray[np.int64]


Prediction = Segmentation | Detections | Classification | Embedding | Enhanced


UNKNOWN = 255
"""The label of a pixel whose confidence is below min-confidence; no class may have this index."""
