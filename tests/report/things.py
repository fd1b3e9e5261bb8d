"""Detections, sources and reports for the tests of products."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quadrat import report
from quadrat.report.base import Report
from quadrat.report.names import Names
from quadrat.report.survey import Survey
from quadrat.types import (
    ClassInfo,
    Detections,
    Ended,
    Frame,
    FrameKey,
    ModelPackage,
    Prediction,
    Provenance,
    Reading,
    Result,
    Segmentation,
    Source,
)
from tests.values import settings_of

WHO = Provenance("urn:order", "urn:model", "d1", "d2", "0.1.0", "fake", "1", "fp32", "cpu")
CLASSES = tuple(
    ClassInfo(i, f"urn:c:{i}", name, color)
    for i, (name, color) in enumerate(
        [("fish", (255, 140, 0)), ('crab, "red"', (200, 0, 60)), ("Grüße", (20, 20, 120))]
    )
)
VIDEO = Source("urn:v", "a/dive.mp4", "video")
HW = (120, 200)


def package(task: str, classes: tuple[ClassInfo, ...] = CLASSES) -> ModelPackage:
    """Make a package of a task."""
    return ModelPackage(Path(), "m", "", task, {}, None, (), classes, len(classes) or None, ())


def make(folder: Path, task: str = "detect", **settings: object) -> tuple[Report, Survey]:
    """Make a report and its survey."""
    survey = Survey()
    folder.mkdir(exist_ok=True)
    made = report.make(
        package(task),
        settings_of(**settings),  # type: ignore[arg-type]
        WHO,
        names=Names(),
        survey=survey,
        folder=folder,
    )
    return made, survey


def objects(
    rows: Sequence[tuple[float, float, float, float]],
    classes: Sequence[int] | None = None,
    scores: Sequence[float] | None = None,
    tracks: Sequence[int] | None = None,
) -> Detections:
    """Make detections from boxes."""
    count = len(rows)
    return Detections(
        np.array(rows, np.float32).reshape(-1, 4),
        np.array([0.5] * count if scores is None else scores, np.float32),
        np.array([0] * count if classes is None else classes, np.int32),
        None if tracks is None else np.array(tracks, np.int32),
    )


def many(count: int, seed: int = 0, *, tracked: bool = True) -> Detections:
    """Make `count` random detections inside HW."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (2, count, 2)) * np.array([HW[1], HW[0]])
    return Detections(
        np.concatenate([corners.min(0), corners.max(0)], axis=1).astype(np.float32),
        rng.uniform(0.1, 1, count).astype(np.float32),
        rng.integers(0, 3, count).astype(np.int32),
        np.arange(count, dtype=np.int32) - 1 if tracked else None,
    )


def photo(prediction: Prediction | None, name: str = "p.jpg", skipped: str = "") -> Result:
    """Make the result of a photograph."""
    frame = Frame(FrameKey(f"urn:{name}"), HW, np.full((*HW, 3), 90, np.uint8), "d3", skipped=skipped)
    return Result(Source(f"urn:{name}", name), frame, _by_task(prediction))


def frame(index: int, prediction: Prediction | None, source: Source = VIDEO, skipped: str = "") -> Result:
    """Make the result of one frame of a video of 25 frames per second."""
    pixels = np.zeros((*HW, 3), np.uint8)
    key = FrameKey(source.urn, index)
    return Result(source, Frame(key, HW, pixels, time_s=index / 25, skipped=skipped), _by_task(prediction))


def end(count: int, source: Source = VIDEO, video: Path | None = None, **reading: object) -> Ended:
    """End a video of `count` frames."""
    skipped = reading.pop("skipped", {})
    read = {"rate": 25.0, "declared_frames": count, "read": count, "taken": count, "seconds": count / 25}
    return Ended(source, Reading(HW, **(read | reading)), skipped, video)  # type: ignore[arg-type]


def _by_task(prediction: Prediction | None) -> dict[str, Prediction]:
    if prediction is None:
        return {}
    return {"segment" if isinstance(prediction, Segmentation) else "detect": prediction}
