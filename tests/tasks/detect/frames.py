"""Frames, and objects that a made-up network finds in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from quadrat.geometry import Geometry
from quadrat.predictions import Detections
from quadrat.tasks.detect.task import Detect
from quadrat.types import Frame, FrameKey, Part
from tests.detectors import encode, package, specs
from tests.tasks.folding import make_task, predict
from tests.values import settings_of


def frame(
    h: int = 64, w: int = 64, *, source: tuple[int, int] | None = None, time_s: float | None = None
) -> Frame:
    """Make a black frame of a working size (h, w), by default also its source size."""
    return Frame(FrameKey("urn:x"), source or (h, w), np.zeros((h, w, 3), np.uint8), time_s=time_s)


def task(layout: str = "yolov8", classes: int | None = 2, **settings: Any) -> Detect:
    """Make the task for an archive of this layout."""
    return make_task(package(layout, classes), specs(layout, classes or 2), settings_of(**settings))


def found(
    layout: str, boxes: Any, scores: Any, classes: Any, of: Frame | None = None, **settings: Any
) -> Detections:
    """Encode objects as a network of two classes would, and detect them in a frame."""
    given_frame = of or frame()
    arrays = encode(layout, boxes, scores, classes, num_classes=2, hw=given_frame.pixels.shape[:2])
    start = Geometry.identity(given_frame.source_hw).resized(given_frame.pixels.shape[:2])
    return predict(task(layout, **settings), given_frame, [Part(arrays, start)])
