"""Parameters of tracking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quadrat.parameters.declare import MOVING, OBJECTS, Group, parameter


@dataclass(frozen=True, slots=True)
class TrackingSettings(Group):
    """How objects are tracked through a video."""

    title: ClassVar[str] = "tracking"
    about: ClassVar[str] = "How objects are tracked through a video."

    tracker: str = parameter(
        "option",
        "How to track objects through a video: by motion (sort, bytetrack, ocsort), by motion and appearance "
        "(deepsort), or not at all (none).",
        default="bytetrack",
        choices=("none", "sort", "bytetrack", "ocsort", "deepsort"),
        tasks=OBJECTS,
        media=MOVING,
        shapes_result=True,
        since="2",
    )
    max_age: int = parameter(
        "int",
        "End a track when its object has not been seen for more than this many frames.",
        default=30,
        unit="frames",
        low=0,
        high=10**6,
        tasks=OBJECTS,
        media=MOVING,
        shapes_result=True,
        since="2",
    )
    min_hits: int = parameter(
        "int",
        "Number a track once its object has been seen in this many frames in a row. Up to four earlier frames then "
        "get the number too.",
        default=2,
        unit="frames",
        low=1,
        high=1000,
        tasks=OBJECTS,
        media=MOVING,
        shapes_result=True,
        since="2",
    )
    track_across_classes: bool = parameter(
        "bool",
        "Continue a track when the class of its object changes.",
        tasks=OBJECTS,
        media=MOVING,
        shapes_result=True,
        since="2",
    )
    smooth_labels: str = parameter(
        "option",
        "Class of a tracked object: that of each frame (none), or over its last frames the most frequent (mode), "
        "the median, or the one with the greatest sum of scores (score). Needs track-across-classes.",
        default="none",
        choices=("none", "mode", "median", "score"),
        tasks=OBJECTS,
        media=MOVING,
        shapes_result=True,
        since="2",
    )
    smooth_frames: int = parameter(
        "int",
        "Number of frames that smooth-labels considers.",
        default=15,
        unit="frames",
        low=1,
        high=10_000,
        tasks=OBJECTS,
        media=MOVING,
        shapes_result=True,
        since="2",
    )
    smooth_seconds: float = parameter(
        "float",
        "Number of seconds that smooth-labels considers; 0 uses smooth-frames.",
        default=0.0,
        unit="seconds",
        low=0.0,
        high=3600.0,
        tasks=OBJECTS,
        media=MOVING,
        shapes_result=True,
        since="2",
    )
