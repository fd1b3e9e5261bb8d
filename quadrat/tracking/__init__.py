"""Link detections over time into tracks; one module per tracker, found by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from quadrat.errors import ParameterError
from quadrat.parameters import TrackingSettings
from quadrat.protocols import Tracker

TRACKERS = {
    "sort": "quadrat.tracking.sort:Sort",
    "bytetrack": "quadrat.tracking.bytetrack:ByteTrack",
    "ocsort": "quadrat.tracking.ocsort:OcSort",
    "deepsort": "quadrat.tracking.deepsort:DeepSort",
}


def compares_appearance(name: str) -> bool:
    """Return True if the tracker of this name uses embeddings; "none" and unknown trackers do not."""
    return name in TRACKERS and bool(_class_of(name).needs_embeddings)


def make(tracking: TrackingSettings, min_score: float) -> Tracker | None:
    """Make a tracker for one source; return None if `tracking.tracker` is "none".

    `min_score`, in 0..1, is the score that an object needs by itself: ByteTrack starts tracks only from it on.
    Raises ParameterError for an unknown tracker.
    """
    if tracking.tracker == "none":
        return None
    if tracking.tracker not in TRACKERS:
        raise ParameterError(
            f"unknown tracker {tracking.tracker!r}",
            where="tracker",
            hint="Choose one of: none, " + ", ".join(TRACKERS),
        )
    return cast(Tracker, _class_of(tracking.tracker)(tracking, min_score))


def _class_of(name: str) -> Any:
    module, attribute = TRACKERS[name].split(":")
    return getattr(import_module(module), attribute)
