"""Boxes and class scores in two tensors, decoded but without NMS: SSD, UltraFace, YOLO-NAS, DAMO-YOLO, PP-YOLOE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError
from quadrat.geometry import HW
from quadrat.tasks.detect.layouts.base import (
    Candidates,
    DetectorSpec,
    as_float,
    candidates,
    shape_text,
    to_corners,
)
from quadrat.tasks.detect.layouts.levels import activate, best_of
from quadrat.types import OutputSpec


def find_apart(network: DetectorSpec) -> tuple[OutputSpec, OutputSpec] | None:
    """Return the outputs for boxes (N, A, 4) and scores (N, A, C) or (N, C, A): as stated, by name, or by shape."""
    flat = [one for one in network.outputs if len(one.shape) == 3 and one.dtype.startswith("float")]
    names = {one.name: one for one in flat}
    stated = [names.get(network.roles.get(role, "")) for role in ("boxes", "scores")]
    if stated[0] is not None and stated[1] is not None:
        return stated[0], stated[1]
    boxes = [one for one in flat if one.shape[2] == 4]
    if len(boxes) > 1:
        boxes = [one for one in boxes if "box" in one.name.lower()]
    if len(boxes) != 1:
        return None
    rows = boxes[0].shape[1]
    others = [one for one in flat if one is not boxes[0] and rows in (*one.shape[1:], None)]
    if len(others) > 1:
        others = [one for one in others if "score" in one.name.lower()]
    return (boxes[0], others[0]) if len(others) == 1 else None


class Ssd:
    """boxes (N, A, 4) and scores (N, A, C) or (N, C, A), one row per anchor, decoded, without NMS.

    The archive states how they are written: `boxes` as corners or centres with sizes, in `unit` pixels or fractions
    of the input's sides; `activation` none, or softmax or sigmoid for raw scores; `background`, a class that means no
    object (Liu et al. 2016, SSD).
    """

    nms = True
    batched = True
    float_classes = False
    roles: tuple[str, ...] = ("boxes", "scores")

    def __init__(self, network: DetectorSpec) -> None:
        self._network = network
        found = find_apart(network)
        if found is None:
            raise network.fault(
                f"it has {network.shapes}; there must be boxes (N, A, 4) and scores (N, A, classes)"
            )
        self._boxes, self._scores = (one.name for one in found)
        self.wanted: tuple[str, ...] = (self._boxes, self._scores)
        self._check(found[0].shape[1:], found[1].shape[1:])

    def _check(self, boxes: tuple[int | None, ...], scores: tuple[int | None, ...]) -> None:
        """Check what is known of the shapes without their batch axis."""
        fitting = len(boxes) == len(scores) == 2 and boxes[1] in (4, None)
        if not fitting or (None not in (boxes[0], *scores) and boxes[0] not in scores):
            raise self._network.fault(
                f"boxes and scores are {shape_text(boxes)} and {shape_text(scores)} for each input; "
                "they must be (A, 4) and (A, classes)"
            )
        if None in (boxes[0], *scores):
            return
        count = scores[1] if scores[0] == boxes[0] else scores[0]
        background = self._network.words.background
        if background is not None and background >= (count or 0):
            raise ClassesError(
                f"the background is stated as class {background}, but the network has {count} classes",
                where=self._network.name,
                hint="Correct detect.background in meta.json",
            )
        self._network.check_classes((count or 0) - (background is not None))

    def read(self, arrays: Mapping[str, NDArray[Any]], tensor_hw: HW, floor: float) -> Candidates:
        """Score each anchor by its best class that is not the background."""
        network = self._network
        boxes, raw = as_float(network, arrays, self._boxes), as_float(network, arrays, self._scores)
        self._check(boxes.shape, raw.shape)
        scores = activate(network, raw if len(raw) == len(boxes) else np.ascontiguousarray(raw.T))
        if network.words.background is not None:
            scores = np.delete(scores, network.words.background, axis=1)
        rows, best, classes = best_of(scores, floor)
        return candidates(network, to_corners(network, boxes[rows], tensor_hw), best, classes, tensor_hw)
