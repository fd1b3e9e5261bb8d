"""How detectors lay out their outputs: one reader for each layout, found here by its name in meta.json."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from quadrat.tasks.detect.layouts.base import Candidates, DetectorSpec, Layout
from quadrat.tasks.detect.layouts.guess import guess
from quadrat.tasks.detect.layouts.named import Boxes, Rfdetr, Rtdetr
from quadrat.tasks.detect.layouts.single import Paddledet, RtdetrUltralytics, Yolov5, Yolov8, Yolov10

__all__ = ["LAYOUTS", "Candidates", "DetectorSpec", "Layout", "choose", "guess"]

LAYOUTS: dict[str, Callable[[DetectorSpec], Layout]] = {
    "yolov5": Yolov5,
    "yolov8": Yolov8,
    "yolov10": Yolov10,
    "rtdetr": Rtdetr,
    "rtdetr-ultralytics": RtdetrUltralytics,
    "rfdetr": Rfdetr,
    "paddledet": Paddledet,
    "boxes": Boxes,
}

_log = logging.getLogger("quadrat")


def choose(network: DetectorSpec) -> Layout:
    """Give the reader of the layout that the archive states, or else of the only one that fits.

    A guess is logged with its reason. Raises LayoutError where the outputs are not of the layout, or
    fit none or several, or would mix the objects of several inputs, ClassesError where they have other classes.
    """
    if network.words.layout is None:
        name, reason = guess(network.outputs, network.num_classes)
        _log.warning(
            "%s states no layout for its outputs and is taken for %s: %s", network.name, name, reason
        )
        network = replace(network, words=replace(network.words, layout=name))
    layout = LAYOUTS[network.words.layout or ""](network)
    if not layout.batched and (network.batch or 1) > 1:
        raise network.fault(
            f"it takes {network.batch} inputs at once, and its outputs do not say which object is of which",
            "Export the network with a batch of 1, or an open one",
        )
    return layout
