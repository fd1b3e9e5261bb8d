"""How detectors lay out their outputs: one reader for each layout, found here by its name in meta.json."""

from __future__ import annotations

from collections.abc import Callable

from quadrat.tasks.layouts.base import Candidates, Layout, Network
from quadrat.tasks.layouts.single import RtdetrUltralytics, Yolov5, Yolov8, Yolov10

__all__ = ["LAYOUTS", "Candidates", "Layout", "Network", "choose"]

LAYOUTS: dict[str, Callable[[Network], Layout]] = {
    "yolov5": Yolov5,
    "yolov8": Yolov8,
    "yolov10": Yolov10,
    "rtdetr-ultralytics": RtdetrUltralytics,
}


def choose(network: Network) -> Layout:
    """Give the reader of the layout stated.

    Raises LayoutError where the outputs are not of it, ClassesError where they have other classes.
    """
    if network.words.layout is None:
        raise network.fault("no layout is stated")
    return LAYOUTS[network.words.layout](network)
