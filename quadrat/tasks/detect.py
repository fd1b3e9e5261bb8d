"""Object detection: what the network gives for the parts of a frame -> objects in source pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError, ParameterError
from quadrat.geometry import HW
from quadrat.package.detectors import read_detect
from quadrat.parameters import Settings
from quadrat.tasks import layouts
from quadrat.tasks.layouts.named import Boxes
from quadrat.tasks.merge import Found, merge_found
from quadrat.tasks.nms import nms
from quadrat.types import Detections, Frame, ModelPackage, OutputSpec, Part

MANY = 30_000
"""Candidates of one part that are looked at, the best first."""
EXACT = {"bf16": 256, "fp16": 2048}
"""Whole numbers that a precision tells apart."""
FOLLOWED = 0.1
"""Score down to which ByteTrack looks for objects that it already follows (Zhang et al. 2022)."""

Bounds = tuple[float, float, float, float]
"""x0, y0, x1, y1 in source pixels."""


class Detect:
    """The objects of a frame, from one part that is all of it or from tiles.

    `batched` is False for a network whose outputs have no batch axis: it takes one input at a time, and
    a Part holds its outputs whole.
    """

    name = "detect"

    def __init__(self, package: ModelPackage, outputs: Sequence[OutputSpec], settings: Settings) -> None:
        self._network = layouts.Network(
            package.name, tuple(outputs), package.outputs, package.num_classes, read_detect(package.meta),
            package.input_shape[0] if package.input_shape else None,
        )  # fmt: skip
        self._layout = layouts.choose(self._network)
        _check_precision(self._network, self._layout, settings.engine.precision)
        self._settings = settings
        self.wanted = self._layout.wanted
        self.batched = self._layout.batched

    def predict(self, frame: Frame, parts: Iterable[Part]) -> Detections:
        """Give the objects of at least min-score, the best first, at most max-detections.

        For a frame of a video that bytetrack follows, scores go down to FOLLOWED. Boxes are inside the
        picture and have an area. Of equal scores the order is that of the boxes' x0, y0, x1, y1. Raises
        EngineRunError for NaN or infinity, LayoutError for outputs of another layout, ClassesError for a
        class that the archive does not have.
        """
        floor = self._settings.objects.min_score
        if frame.time_s is not None and self._settings.tracking.tracker == "bytetrack":
            floor = min(floor, FOLLOWED)
        found = [(self._read(frame, part, floor), _window(frame, part)) for part in parts]
        if not found:
            return Detections.none()
        return best(_merged(found, frame.source_hw, self._settings), self._settings)

    def _read(self, frame: Frame, part: Part, floor: float) -> Detections:
        """The objects that one part shows, in source pixels and inside it, the best first."""
        given = self._layout.read(part.arrays, part.geometry.tensor_hw, floor)
        self._check_classes(given.classes)
        corners = part.geometry.to_source(given.boxes.astype(np.float64).reshape(-1, 2)).reshape(-1, 4)
        height, width = frame.source_hw
        inside = _clipped(corners, _window(frame, part) or (0.0, 0.0, width, height))
        real = np.flatnonzero((inside[:, 2:] > inside[:, :2]).all(axis=1))
        order = real[_order(given.boxes[real], given.scores[real], given.classes[real])][:MANY]
        boxes, scores, classes = given.boxes[order], given.scores[order], given.classes[order]
        if self._layout.nms:  # of the boxes as the network gave them, before they are cut
            order = order[
                nms(
                    boxes,
                    scores,
                    classes,
                    self._settings.objects.nms_threshold,
                    self._settings.objects.max_detections + 1,
                )
            ]
        return Detections(inside[order], given.scores[order], given.classes[order].astype(np.int32))

    def _check_classes(self, classes: NDArray[np.int64]) -> None:
        limit = self._network.num_classes
        if limit is not None and classes.size and classes.max() >= limit:
            hint = "List every class of the network in meta.json"
            if isinstance(self._layout, Boxes) and self._network.words.background != 0:
                hint += (
                    '; or, if its labels count from 1, as torchvision\'s do, state "background": 0 '
                    "beside the layout in its detect"
                )
            raise ClassesError(
                f"the network gives class {classes.max()}, and there are {limit} classes (0 to {limit - 1})",
                where=self._network.name,
                hint=hint,
            )


def _check_precision(network: layouts.Network, layout: layouts.Layout, precision: str) -> None:
    """Refuse a precision in which a class number that travels among the boxes would become another."""
    most = EXACT.get(precision)
    if layout.float_classes and most is not None and (network.num_classes or 0) > most:
        raise ParameterError(
            f"the model {network.name!r} gives class numbers as floats, and {precision} tells {most} apart "
            f"of its {network.num_classes}",
            where="precision",
            hint="Choose fp32",
        )


def _window(frame: Frame, part: Part) -> Bounds | None:
    """A part's tile in source pixels."""
    if part.window is None:
        return None
    (height, width), (h, w) = frame.source_hw, frame.pixels.shape[:2]
    across, down, tile = width / w, height / h, part.window
    return tile.left * across, tile.top * down, tile.right * across, tile.bottom * down


def _clipped(boxes: NDArray[np.float64], bounds: Bounds) -> NDArray[np.float32]:
    """Keep corners (N, 4) within bounds."""
    low, high = np.array(bounds[:2] * 2), np.array(bounds[2:] * 2)
    return np.clip(boxes, low, high).astype(np.float32)


def _merged(
    found: Sequence[tuple[Detections, Bounds | None]], source_hw: HW, settings: Settings
) -> Detections:
    """The objects of all parts as one."""
    if len(found) == 1:
        return found[0][0]
    every = [Found(detections, window) for detections, window in found]
    return merge_found(every, source_hw, settings.tiles.merge, settings.tiles.merge_threshold)


def best(detections: Detections, settings: Settings) -> Detections:
    """Give the max-detections best objects in an order that depends on nothing but themselves.

    They are `capped` where one of the others has min-score.
    """
    order = _order(detections.boxes, detections.scores, detections.classes)
    kept, others = order[: settings.objects.max_detections], order[settings.objects.max_detections :]
    return replace(
        detections[kept], capped=bool((detections.scores[others] >= settings.objects.min_score).any())
    )


def _order(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], classes: NDArray[Any]
) -> NDArray[np.intp]:
    """Best score first, then by x0, y0, x1, y1 and class: no matter how they came."""
    return np.lexsort((classes, *boxes.T[::-1], -scores))
