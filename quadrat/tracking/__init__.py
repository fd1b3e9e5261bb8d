"""Link detections over time into tracks; one module per tracker, found by name."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from quadrat.errors import ParameterError
from quadrat.parameters import TrackingSettings
from quadrat.protocols import Tracker

TRACKERS = {
    "sort": "quadrat.tracking.sort:Sort",
    "bytetrack": "quadrat.tracking.bytetrack:ByteTrack",
    "ocsort": "quadrat.tracking.ocsort:OcSort",
    "deepsort": "quadrat.tracking.deepsort:DeepSort",
}


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
    module, attribute = TRACKERS[tracking.tracker].split(":")
    return cast(Tracker, getattr(import_module(module), attribute)(tracking, min_score))
