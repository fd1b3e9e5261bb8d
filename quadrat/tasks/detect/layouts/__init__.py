"""The layouts of detectors' outputs: one reader each, found here by the name in meta.json."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from quadrat.tasks.detect.layouts.base import Candidates, DetectorSpec, Layout
from quadrat.tasks.detect.layouts.distributions import NanodetPlus, Picodet, nanodet
from quadrat.tasks.detect.layouts.faces import Scrfd, Yunet
from quadrat.tasks.detect.layouts.guess import fitting, guess
from quadrat.tasks.detect.layouts.maps import Centerface, Centernet, Fastestdet
from quadrat.tasks.detect.layouts.named import Boxes, Mmdet, Rfdetr, Rtdetr
from quadrat.tasks.detect.layouts.single import Paddledet, RtdetrUltralytics, Yolov5, Yolov8, Yolov10
from quadrat.tasks.detect.layouts.ssd import Ssd
from quadrat.tasks.detect.layouts.yolox import Yolox

__all__ = ["LAYOUTS", "Candidates", "DetectorSpec", "Layout", "choose", "fitting", "guess"]

LAYOUTS: dict[str, Callable[[DetectorSpec], Layout]] = {
    "yolov5": Yolov5,
    "yolov8": Yolov8,
    "yolov10": Yolov10,
    "yolox": Yolox,
    "rtdetr": Rtdetr,
    "rtdetr-ultralytics": RtdetrUltralytics,
    "rfdetr": Rfdetr,
    "paddledet": Paddledet,
    "boxes": Boxes,
    "mmdet": Mmdet,
    "ssd": Ssd,
    "nanodet": nanodet,
    "nanodet-plus": NanodetPlus,
    "picodet": Picodet,
    "yunet": Yunet,
    "scrfd": Scrfd,
    "fastestdet": Fastestdet,
    "centernet": Centernet,
    "centerface": Centerface,
}

_log = logging.getLogger("quadrat")


def choose(network: DetectorSpec) -> Layout:
    """Return the reader of the layout that the archive states, or of the only one that fits if it states none.

    A guess is logged with its reason. Raises LayoutError if the outputs do not have the stated layout, fit no
    layout or several, or would mix the objects of several inputs; ClassesError if they disagree with the classes.
    """
    if network.words.layout is None:
        name, reason = guess(network.outputs, network.num_classes, network.fixed_hw)
        _log.warning(
            "%s does not state the layout of its outputs; %s is assumed: %s", network.name, name, reason
        )
        network = replace(network, words=replace(network.words, layout=name))
    layout = LAYOUTS[network.words.layout or ""](network)
    if not layout.batched and (network.batch or 1) > 1:
        raise network.fault(
            f"it takes {network.batch} inputs at once, but its outputs do not say which object belongs to which input",
            "Export the network with a batch of 1, or a dynamic batch",
        )
    return layout
