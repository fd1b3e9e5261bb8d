"""Detections over time -> tracks; one module per tracker, found here by name."""

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


def make(settings: TrackingSettings, min_score: float = 0.0) -> Tracker | None:
    """Make a tracker for one source as the settings say; None where objects are not followed.

    Raises ParameterError for a tracker that we do not have.
    """
    if settings.tracker == "none":
        return None
    if settings.tracker not in TRACKERS:
        raise ParameterError(
            f"there is no tracker {settings.tracker!r}",
            where="tracker",
            hint="There are: none, " + ", ".join(TRACKERS),
        )
    module, attribute = TRACKERS[settings.tracker].split(":")
    return cast(Tracker, getattr(import_module(module), attribute)(settings, min_score))
