"""Moving boxes for the tests of tracking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quadrat import tracking
from quadrat.protocols import Tracker
from quadrat.types import Detections
from tests.values import settings_of

LEFT, RIGHT = (100.0, 100.0), (700.0, 400.0)


def tracker(name: str = "bytetrack", **options: object) -> Tracker:
    """Make a tracker with the service's defaults, but for these."""
    given = settings_of(tracker=name, **options)
    made = tracking.make(given.tracking, given.objects.min_score)
    assert made is not None
    return made


def boxes(
    *corners: tuple[float, float], side: float = 40, score: float = 0.9, classes: Sequence[int] = ()
) -> Detections:
    """Make square objects at these upper left corners, all of one score; of class 0 unless said."""
    count = len(corners)
    low = np.array(corners, np.float32).reshape(count, 2)
    return Detections(
        np.concatenate([low, low + side], axis=1).astype(np.float32),
        np.full(count, score, np.float32),
        np.array(classes or [0] * count, np.int32),
    )


def looks(*kinds: int, width: int = 8) -> NDArray[np.float32]:
    """Make features that are alike where the kinds are the same, and have nothing in common where not."""
    return np.eye(width, dtype=np.float32)[list(kinds)]


def tracks_of(made: Tracker, frames: Sequence[Detections], steps: float = 1.0) -> list[list[int]]:
    """Show frames to a tracker and give the tracks of each; features are by class."""
    shown = [made.update(frame, looks(*frame.classes), steps).tracks for frame in frames]
    return [tracks.tolist() for tracks in shown if tracks is not None]


def straight(
    frames: int, start: tuple[float, float] = LEFT, speed: tuple[float, float] = (4, 2)
) -> list[Detections]:
    """Make one object that goes straight on."""
    return [boxes((start[0] + f * speed[0], start[1] + f * speed[1])) for f in range(frames)]
