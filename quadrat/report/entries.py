"""What features files and indexes hold of a source: its frames and objects, with their classes and vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from quadrat.media.encode import jpeg
from quadrat.package.classes import class_of
from quadrat.parameters import MaskSettings
from quadrat.predictions import Detections, Embedding, ObjectResult, Segmentation
from quadrat.records import Entry, Label
from quadrat.report.base import ModelFacts
from quadrat.report.columns import Columns, ColumnWriter
from quadrat.report.cover import measure
from quadrat.types import Frame, ImageU8, Result, Source

COLUMN = "entries"
"""The only column: objects of class Entry."""
THUMB = 96
"""The longest side of a thumbnail in pixels."""
DENSE = 8
"""Pixels of a side for each of the thumbnail that are read."""
VECTORS = ("vector", "features")
"""Fields of predictions that hold a vector."""


class EntryCollector:
    """Collects the entries of one source, in the order of its frames.

    The first entry of a frame is the frame itself, with what all models found in it; its objects follow, model by
    model. With `whole`, every measured frame and object has an entry, and each entry a thumbnail. Otherwise only those
    with a vector have one.
    """

    def __init__(
        self, models: Sequence[ModelFacts], source: Source, folder: Path, *, whole: bool = False
    ) -> None:
        self._models = {model.name: model.own or model for model in models}
        self._whole_frames = {model.name for model in models if not model.about}
        self._columns = ColumnWriter(folder / models[0].temporary_name(source.stem, ".entries"))
        self._whole = whole
        self._count = 0

    def add(self, result: Result) -> None:
        """Add a frame; a skipped one has no entries."""
        entries = [] if result.frame.skipped else self._entries(result)
        if not entries:
            return
        rows = np.empty(len(entries), object)
        rows[:] = entries
        self._count += len(entries)
        self._columns.add(result.frame, {COLUMN: rows}, len(entries))

    def finish(self) -> Columns | None:
        """Return the entries of all frames; None if there are none."""
        return self._columns.finish() if self._count else None

    def _entries(self, result: Result) -> list[Entry]:
        whole, objects = Entry(), []
        for name, prediction in result.predictions.items():
            if name not in self._whole_frames or not (self._whole or has_vector(prediction)):
                continue  # what a model about objects found is in the details of its detector's prediction
            model = self._models[name]
            for place, entry in enumerate(_listed(model, prediction)):
                if entry.box is None:
                    whole = _joined(whole, entry)
                else:
                    objects.append(self._detailed(entry, prediction, place))
        if self._whole:
            return [_with_thumb(each, result.frame) for each in (whole, *objects)]
        return [each for each in (whole, *objects) if each.vectors]

    def _detailed(self, entry: Entry, prediction: Any, place: int) -> Entry:
        """Add to an object what models that are about objects found in it."""
        details: Mapping[str, Sequence[ObjectResult | None]] = getattr(prediction, "details", {})
        for name, results in details.items():
            found, model = results[place], self._models.get(name)
            if found is not None and model is not None:
                for more in _listed(model, found.prediction):
                    if more.box is None:
                        entry = _joined(entry, more)
        return entry


def has_vector(prediction: Any) -> bool:
    """Return True if a prediction has a vector, or if its objects may have vectors from another model."""
    details: Mapping[str, Iterable[ObjectResult | None]] = getattr(prediction, "details", {})
    if any(each is not None and has_vector(each.prediction) for of in details.values() for each in of):
        return True
    return any(getattr(prediction, name, None) is not None for name in VECTORS)


def _listed(model: ModelFacts, prediction: Any) -> list[Entry]:
    """Return the entries of a prediction; none if its task has nothing for an index."""
    part = model.kind.part("entries")
    return [] if part is None else list(part(prediction, model, *model.groups))


def _joined(entry: Entry, more: Entry) -> Entry:
    return replace(entry, labels=entry.labels + more.labels, vectors={**entry.vectors, **more.vectors})


def of_masks(
    prediction: Segmentation, model: ModelFacts, masks: MaskSettings, *_groups: object
) -> list[Entry]:
    """Return the frame with the cover of each class that is in it."""
    covers = measure(model, prediction, masks.min_confidence)
    labels = tuple(
        Label(model.name, each.id, each.name, each.confidence, each.cover) for each in covers if each.pixels
    )
    return [Entry(labels=labels)]


def of_objects(prediction: Detections, model: ModelFacts, *_groups: object) -> list[Entry]:
    """Return an entry for each object, with its box, class, score and track."""
    known = {info.index: info for info in model.classes}
    tracks = [-1] * len(prediction) if prediction.tracks is None else prediction.tracks.tolist()
    entries = []
    for box, score, index, track in zip(
        prediction.boxes.tolist(),
        prediction.scores.tolist(),
        prediction.classes.tolist(),
        tracks,
        strict=True,
    ):
        info = class_of(known, index, model.kind.class_urn)
        label = Label(model.name, info.id, info.name, score)
        entries.append(Entry(tuple(box), track, (label,), model=model.name))
    return entries


def of_embedding(prediction: Embedding, model: ModelFacts, *_groups: object) -> list[Entry]:
    """Return the frame, or the object, with its vector."""
    return [Entry(vectors={model.name: prediction.vector})]


def _with_thumb(entry: Entry, frame: Frame) -> Entry:
    """Add a thumbnail of the frame, or of the object in it."""
    pixels = frame.pixels
    if entry.box is not None:
        pixels = _crop(frame, entry.box)
    return replace(entry, thumb=jpeg(thumbnail(pixels)))


def _crop(frame: Frame, box: tuple[float, float, float, float]) -> ImageU8:
    """Return the pixels of a box in pixels of the source: at least one."""
    (height, width), (source_h, source_w) = frame.pixels.shape[:2], frame.source_hw
    left, right = _span(box[0] * width / source_w, box[2] * width / source_w, width)
    top, bottom = _span(box[1] * height / source_h, box[3] * height / source_h, height)
    return frame.pixels[top:bottom, left:right]


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    first = min(max(int(low), 0), size - 1)
    return first, min(max(int(np.ceil(high)), first + 1), size)


def thumbnail(pixels: ImageU8) -> ImageU8:
    """Shrink a picture to at most THUMB pixels on its longer side; a small one stays as it is.

    Of a large one, which may be a mosaic in a file, only some pixels are read.
    """
    step = max(1, max(pixels.shape[:2]) // (DENSE * THUMB))
    pixels = np.ascontiguousarray(pixels[::step, ::step])
    height, width = pixels.shape[:2]
    scale = min(1.0, THUMB / max(height, width))
    if scale == 1.0:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small  # type: ignore[no-any-return]
