"""Parts of one frame -> its objects in source pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError
from quadrat.geometry import HW, Window
from quadrat.parameters import ObjectSettings, TileSettings
from quadrat.predictions import Detections
from quadrat.tasks.detect.layouts import Candidates, DetectorSpec, Layout
from quadrat.tasks.detect.layouts.named import Boxes
from quadrat.tasks.detect.merge import Bounds, TileDetections, merge_tiles
from quadrat.tasks.detect.nms import nms
from quadrat.tasks.detect.thresholds import Thresholds
from quadrat.tasks.parts import ReceivedParts
from quadrat.types import Frame, Part

MAX_CANDIDATES = 30_000
"""Candidates of one part that NMS considers, the best first: this bounds its time."""


class ObjectReader:
    """Reads the objects of one part by the layout of the network's outputs.

    `nms_threshold` is used only if the layout needs NMS, or the archive states it. Only objects of the classes
    `kept` are read, by index; an empty tuple keeps all. The others are dropped before NMS.
    """

    def __init__(
        self,
        spec: DetectorSpec,
        layout: Layout,
        objects: ObjectSettings,
        thresholds: Thresholds,
        kept: tuple[int, ...] = (),
    ) -> None:
        self._spec = spec
        self._layout = layout
        self._objects = objects
        self._thresholds = thresholds
        self._kept = kept
        self._nms = spec.words.nms or ("per-class" if layout.nms else "none")

    @property
    def agnostic(self) -> bool:
        """True if of two overlapping boxes one is dropped even if their classes differ."""
        return self._nms == "agnostic"

    def read(self, part: Part, bounds: Bounds, floor: float) -> Detections:
        """Return the objects with a score of at least `floor`, clipped to `bounds`, the best first.

        `bounds` is the part's rectangle in source pixels. Equal scores are ordered by the box in tensor pixels,
        then by class. Raises EngineRunError for NaN or infinity, LayoutError for outputs that do not have the
        layout, ClassesError for a class that the archive does not list.
        """
        given = self._layout.read(part.arrays, part.geometry.tensor_hw, floor)
        self._check_classes(given.classes)
        corners = part.geometry.to_source(given.boxes.astype(np.float64).reshape(-1, 2)).reshape(-1, 4)
        clipped = _clip(corners, bounds)
        wanted = self._thresholds.kept(given.scores, given.classes, floor)
        if self._kept:
            wanted &= np.isin(given.classes, self._kept)
        visible = np.flatnonzero((clipped[:, 2:] > clipped[:, :2]).all(axis=1) & wanted)
        order = visible[best_first(given.boxes[visible], given.scores[visible], given.classes[visible])]
        limit = self._objects.max_detections + 1  # one more, so that `capped` is known
        # NMS compares the network's own boxes, before they are clipped.
        kept, capped = self._suppressed(
            Candidates(given.boxes[order], given.scores[order], given.classes[order]), limit
        )
        order = order[kept[:limit]]
        return Detections(
            clipped[order], given.scores[order], given.classes[order].astype(np.int32), capped=capped
        )

    def _suppressed(self, sorted_: Candidates, limit: int) -> tuple[NDArray[np.intp], bool]:
        """Return the indices that NMS keeps of candidates sorted by score, and whether objects may have been lost.

        They may be if there are more than NMS considers, and fewer than `limit` are kept of those.
        """
        if self._nms == "none":
            return np.arange(len(sorted_.scores)), False
        most = max(MAX_CANDIDATES, limit)
        classes = np.zeros_like(sorted_.classes) if self.agnostic else sorted_.classes
        kept = nms(
            sorted_.boxes[:most], sorted_.scores[:most], classes[:most], self._objects.nms_threshold, limit
        )
        left = sorted_.scores[most:]
        return kept, bool(len(kept) < limit and (left >= np.float32(self._thresholds.least)).any())

    def separated(self, merged: Detections) -> Detections:
        """Drop boxes merged from tiles that overlap a better one of another class, if NMS is class-agnostic."""
        if not self.agnostic:
            return merged
        same = np.zeros_like(merged.classes)
        return merged[nms(merged.boxes, merged.scores, same, self._objects.nms_threshold, len(merged))]

    def _check_classes(self, classes: NDArray[np.int64]) -> None:
        limit = self._spec.num_classes
        if limit is None or not classes.size or classes.max() < limit:
            return
        hint = "List every class of the network in meta.json"
        if isinstance(self._layout, Boxes) and self._spec.words.background != 0:
            hint += (
                '; or, if its labels count from 1, as torchvision\'s do, state "background": 0 '
                "beside the layout in its detect"
            )
        raise ClassesError(
            f"the network gives class {classes.max()}, but there are {limit} classes (0 to {limit - 1})",
            where=self._spec.name,
            hint=hint,
        )


class DetectFold:
    """The fold of one frame: objects are read part by part, and merged at the end.

    Memory grows with the objects found, not with the parts.
    """

    def __init__(
        self,
        frame: Frame,
        windows: tuple[Window | None, ...],
        reader: ObjectReader,
        *,
        objects: ObjectSettings,
        tiles: TileSettings,
        floor: float,
    ) -> None:
        self.windows = windows
        self._frame = frame
        self._reader = reader
        self._objects = objects
        self._tiles = tiles
        self._floor = floor
        self._received = ReceivedParts(frame.key, len(windows))
        self._found: dict[int, TileDetections] = {}

    def add(self, number: int, part: Part) -> None:
        """Read the objects of a part. Raises what ObjectReader.read raises."""
        self._received.mark(number)
        height, width = self._frame.source_hw
        tile = source_bounds(self.windows[number], self._frame)
        detections = self._reader.read(part, tile or (0.0, 0.0, width, height), self._floor)
        self._found[number] = TileDetections(detections, tile)

    def finish(self) -> Detections:
        """Return the objects of the frame, the best first, at most max-detections.

        Boxes are in source pixels, inside the frame, and have an area.
        """
        self._received.check_complete()
        found = [self._found[number] for number in range(len(self.windows))]
        capped = any(part.detections.capped for part in found)
        if len(found) == 1:
            return keep_best(found[0].detections, self._objects, capped=capped)
        method, threshold = self._tiles.merge, self._tiles.merge_threshold
        merged = merge_tiles(found, self._frame.source_hw, method, threshold)
        return keep_best(self._reader.separated(merged), self._objects, capped=capped)


def source_bounds(window: Window | None, frame: Frame) -> Bounds | None:
    """Convert a tile from pixels at working size to source pixels; None, the whole frame, stays None."""
    if window is None:
        return None
    working: HW = frame.pixels.shape[:2]
    scale_y, scale_x = frame.source_hw[0] / working[0], frame.source_hw[1] / working[1]
    return window.left * scale_x, window.top * scale_y, window.right * scale_x, window.bottom * scale_y


def keep_best(detections: Detections, objects: ObjectSettings, *, capped: bool = False) -> Detections:
    """Return the max-detections best objects, in the order of `best_first`.

    They are `capped` if any object left out has at least min-score, or if they were already.
    """
    order = best_first(detections.boxes, detections.scores, detections.classes)
    kept, others = order[: objects.max_detections], order[objects.max_detections :]
    lost = bool((detections.scores[others] >= objects.least_score).any())
    return replace(detections[kept], capped=capped or lost)


def best_first(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], classes: NDArray[Any]
) -> NDArray[np.intp]:
    """Return the indices that sort objects by falling score, then x0, y0, x1, y1 and class.

    The order depends on nothing but the objects, so the same objects always come in the same order.
    """
    return np.lexsort((classes, *boxes.T[::-1], -scores))


def _clip(boxes: NDArray[np.float64], bounds: Bounds) -> NDArray[np.float32]:
    """Clip boxes (N, 4) x0, y0, x1, y1 to bounds."""
    low, high = np.array(bounds[:2] * 2), np.array(bounds[2:] * 2)
    return np.clip(boxes, low, high).astype(np.float32)
