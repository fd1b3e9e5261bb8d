"""What the detections of one frame say about it as a whole."""

from __future__ import annotations

from quadrat.errors import QuadratError, TooManyObjectsError
from quadrat.parameters import ObjectSettings
from quadrat.types import Detections


def is_empty(detections: Detections, objects: ObjectSettings, *_groups: object) -> bool:
    """Return True if no object has min-score."""
    return not (detections.scores >= objects.min_score).any()


def fault(detections: Detections, name: str) -> QuadratError | None:
    """Give the error of a frame with more objects than max-detections; `name` is its source's."""
    return TooManyObjectsError.capped(len(detections), name) if detections.capped else None
