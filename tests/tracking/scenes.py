"""Moving boxes for the tests of tracking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quadrat import tracking
from quadrat.parameters import ObjectSettings, TrackingSettings
from quadrat.predictions import Detections
from quadrat.protocols import Tracker

LEFT, RIGHT = (100.0, 100.0), (700.0, 400.0)
NOTHING = Detections.none()
MIN_SCORE = ObjectSettings().least_score


def tracker(name: str = "bytetrack", *, min_score: float = MIN_SCORE, **options: object) -> Tracker:
    """Make a tracker with the service's defaults, except for `options`."""
    made = tracking.make(TrackingSettings(tracker=name, **options), min_score)
    assert made is not None
    return made


def detections(
    corners: Sequence[Sequence[float]],
    scores: float | Sequence[float] = 0.9,
    classes: int | Sequence[int] = 0,
) -> Detections:
    """Make objects with these corners x0, y0, x1, y1."""
    count = len(corners)
    return Detections(
        np.array(corners, np.float32).reshape(count, 4),
        np.broadcast_to(np.array(scores, np.float32), count).copy(),
        np.broadcast_to(np.array(classes, np.int32), count).copy(),
    )


def boxes(
    *corners: tuple[float, float],
    side: float = 40,
    score: float | Sequence[float] = 0.9,
    classes: int | Sequence[int] = 0,
) -> Detections:
    """Make square objects with these upper left corners."""
    return detections([(x, y, x + side, y + side) for x, y in corners], score, classes)


def embeddings(*kinds: int, width: int = 8) -> NDArray[np.float32]:
    """Make embeddings that are equal for equal kinds and orthogonal for different ones."""
    return np.eye(width, dtype=np.float32)[list(kinds)]


def tracks_of(made: Tracker, frames: Sequence[Detections], steps: float = 1.0) -> list[list[int]]:
    """Track frames and return the numbers of each; embeddings are by class."""
    tracked = [made.update(frame, embeddings(*frame.classes), steps).detections.tracks for frame in frames]
    return [tracks.tolist() for tracks in tracked if tracks is not None]


def straight(
    frames: int, start: tuple[float, float] = LEFT, speed: tuple[float, float] = (4, 2)
) -> list[Detections]:
    """Make one object that moves along a straight line."""
    return [boxes((start[0] + f * speed[0], start[1] + f * speed[1])) for f in range(frames)]


def crowd(seed: int, frames: int = 25, count: int = 12) -> list[Detections]:
    """Make objects of one class that cross each other, with missed and false detections."""
    rng = np.random.default_rng(seed)
    place, speed = rng.uniform(0, 400, (count, 2)), rng.uniform(-6, 6, (count, 2))
    made = []
    for _ in range(frames):
        place = place + speed
        corner = np.concatenate([place[rng.random(count) < 0.9], rng.uniform(0, 400, (rng.poisson(0.5), 2))])
        edges = np.concatenate([corner, corner + 40], axis=1) + rng.normal(0, 1, (len(corner), 4))
        made.append(detections(edges.tolist(), rng.uniform(0.3, 1, len(corner)).tolist()))
    return made
