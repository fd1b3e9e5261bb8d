"""What the detections of one frame say about it as a whole."""

from __future__ import annotations

from dataclasses import replace

from quadrat.errors import QuadratError, TooManyObjectsError
from quadrat.package.detectors import read_detect
from quadrat.parameters import ObjectSettings, Settings
from quadrat.predictions import Detections
from quadrat.tasks.detect.thresholds import thresholds_of
from quadrat.types import ModelPackage


def settings_in_force(package: ModelPackage, settings: Settings) -> Settings:
    """Return the settings with min-score as it applies to the model: as given, or the least that its archive states."""
    thresholds = thresholds_of(read_detect(package.meta), package.num_classes, settings.objects, package.name)
    return replace(settings, objects=replace(settings.objects, min_score=thresholds.least))


def is_empty(detections: Detections, objects: ObjectSettings, *_groups: object) -> bool:
    """Return True if no object has min-score."""
    return not (detections.scores >= objects.least_score).any()


def fault(detections: Detections, name: str) -> QuadratError | None:
    """Give the error of a frame with more objects than max-detections; `name` is its source's."""
    return TooManyObjectsError.capped(len(detections), name) if detections.capped else None
