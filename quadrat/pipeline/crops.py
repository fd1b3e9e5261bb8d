"""The objects of a detector -> what a model that is about objects finds in each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from quadrat.errors import QuadratError, UnmeasuredObjectError
from quadrat.geometry import Geometry, Window
from quadrat.package.objects import ObjectWords
from quadrat.pipeline.cascade import AboutObjects
from quadrat.pipeline.enhance import enhanced
from quadrat.pipeline.events import (
    FRAME_ERRORS,
    MeasuredFrame,
    OpenCrop,
    OpenObjects,
    PartResult,
    PreparedPart,
    to_quadrat_error,
)
from quadrat.pipeline.models import LoadedModel
from quadrat.pipeline.prepare import part_of, view_of
from quadrat.predictions import UNKNOWN, Classification, Detections, Embedding, ObjectResult, Segmentation
from quadrat.steps import Steps
from quadrat.types import Flush, Frame, ImageU8, Part

HELD_BYTES = 256_000_000
"""The most bytes of frames whose objects wait for a full batch; then an incomplete one runs."""
SMALL, OTHER_CLASS, FAILED = "small", "class", "failed"
"""Why an object is not measured: it is smaller than min-size, its class is not one of `classes`, or an error."""


class CropStage:
    """The stage that cuts out the objects of each frame for one model.

    Crops are taken from the frame as it was read, which has the most pixels of all views in memory. `same_steps` is
    True if the detector has the same steps of enhancement, so that its frame can be used.
    """

    def __init__(self, model: LoadedModel, about: AboutObjects, *, same_steps: bool = False) -> None:
        self._model = model
        self._about = about
        self._same_steps = same_steps
        self._held = 0

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield the parts of every object in place of its frame, and everything else unchanged.

        A frame without an object to measure is yielded as it is, with the reasons.
        """
        for item in items:
            if isinstance(item, Flush):
                self._held = 0
            found = item.result.predictions.get(self._about.detector) if _is_measured(item) else None
            if not isinstance(found, Detections):
                yield item
                continue
            yield from self._parts(item, found)
            if self._held > HELD_BYTES:
                self._held = 0
                yield Flush()

    def _parts(self, item: MeasuredFrame, found: Detections) -> Iterator[Any]:
        """Yield the parts of all objects of a frame, which are cut out one by one: together they may be far larger."""
        owner = OpenObjects(item, [None] * len(found), self._reasons(found))
        wanted = [row for row, reason in enumerate(owner.reasons) if not reason]
        try:
            pixels = self._pixels(item) if wanted else item.result.frame.pixels
        except Exception as error:  # noqa: BLE001 - whatever a source contains, it must not end the order
            for row in wanted:
                fail(owner, row, error)
            wanted = []
        owner.waiting = len(wanted)
        if not wanted:
            yield finished(owner, self._model.name, self._about.detector)
            return
        self._held += item.result.frame.pixels.nbytes
        for row in wanted:
            yield from self._parts_of(owner, row, found, pixels)

    def _parts_of(
        self, owner: OpenObjects, row: int, found: Detections, whole: ImageU8
    ) -> Iterator[PreparedPart | PartResult]:
        """Yield the parts of one object, or an error if it cannot be planned; other stages may be at earlier objects."""
        crop = self._cut(owner, row, found, whole)
        name, model = self._model.name, replace(self._model, steps=Steps())
        outcome: Part | QuadratError = Part({}, Geometry.identity(crop.frame.source_hw))
        try:
            crop.frame = replace(crop.frame, pixels=np.ascontiguousarray(crop.frame.pixels))
            fold = crop.folds[name] = model.task.start(view_of({}, crop, model))
            windows = fold.windows
        except Exception as error:  # noqa: BLE001 - whatever a source contains, it must not end the order
            windows, outcome = (), to_quadrat_error(error, owner.measured.state.source.name)
        crop.waiting = len(windows)
        if not windows:  # an error, or a task without a network
            yield PartResult(crop, name, -1, outcome)
        for number, window in enumerate(windows):
            yield part_of(self._model, crop, number, window)

    def _reasons(self, found: Detections) -> list[str]:
        """Return, for each object, why it is not measured, or ""."""
        sides = (found.boxes[:, 2:] - found.boxes[:, :2]).min(axis=1, initial=np.inf)
        classes = self._about.classes
        return [
            OTHER_CLASS
            if classes and index not in classes
            else SMALL
            if not side >= max(self._about.words.min_size, 1)
            else ""
            for index, side in zip(found.classes.tolist(), sides.tolist(), strict=True)
        ]

    def _pixels(self, item: MeasuredFrame) -> ImageU8:
        """Return the whole frame as it was read, after the model's steps: they would see less of it in a crop."""
        seen = item.result.view(self._about.detector).pixels
        if self._same_steps and seen.shape == item.result.frame.pixels.shape:
            return seen
        return enhanced(item.result.frame.pixels, self._model.steps, item.state.source.name)

    def _cut(self, owner: OpenObjects, row: int, found: Detections, whole: ImageU8) -> OpenCrop:
        """Return one object of the `whole` frame, whose pixels are not yet copied."""
        result = owner.measured.result
        pixels, window = crop_windows(result.frame, found.boxes[row], self._about.words)
        cut = whole[pixels.top : pixels.bottom, pixels.left : pixels.right]
        frame = Frame(result.frame.key, (window.height, window.width), cut, time_s=result.frame.time_s)
        return OpenCrop(owner.measured.state, frame, owner=owner, row=row, window=window)


class JoinStage:
    """The stage that joins what a model finds in the objects of a frame.

    An object that cannot be measured costs its own result only. A fault of the model is raised. `last` is True for the
    last stage that has batches.
    """

    def __init__(self, model: LoadedModel, about: AboutObjects, *, last: bool) -> None:
        self._model = model
        self._about = about
        self._last = last

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield every MeasuredFrame with the details of its objects, and everything else unchanged."""
        for item in items:
            if isinstance(item, PartResult) and item.model == self._model.name:
                crop = item.frame
                if not isinstance(crop, OpenCrop):
                    raise TypeError(f"the part of {item.model} is not of an object")
                self._add(crop, item)
                if crop.waiting <= 0:
                    self._finish(crop)
                    if not crop.owner.waiting:
                        yield finished(crop.owner, self._model.name, self._about.detector)
            elif not (self._last and isinstance(item, Flush)):
                yield item

    def _add(self, crop: OpenCrop, ran: PartResult) -> None:
        """Add a part to the fold of its object; after an error, drop the object's other parts."""
        crop.waiting -= 1
        if not isinstance(ran.outcome, Part):
            if not crop.owner.reasons[crop.row]:
                self._drop(crop, ran.outcome)
            return
        fold = crop.folds.get(ran.model)
        if fold is None or ran.number < 0:
            return
        try:
            fold.add(ran.number, ran.outcome)
        except FRAME_ERRORS as error:
            self._drop(crop, error)

    def _drop(self, crop: OpenCrop, error: Exception) -> None:
        crop.folds.pop(self._model.name, None)
        fail(crop.owner, crop.row, error)

    def _finish(self, crop: OpenCrop) -> None:
        """Store the result of an object."""
        crop.owner.waiting -= 1
        fold = crop.folds.pop(self._model.name, None)
        if fold is None:
            return
        try:
            prediction = fold.finish()
        except FRAME_ERRORS as error:
            fail(crop.owner, crop.row, error)
            return
        if not _is_finite(prediction):
            what = "the network gave numbers that are not finite"
            fail(crop.owner, crop.row, UnmeasuredObjectError(what, where=self._model.name))
            return
        if isinstance(prediction, Segmentation):
            prediction = only(prediction, [each.index for each in self._about.parts])
        crop.owner.results[crop.row] = ObjectResult(crop.window, prediction)


def crop_windows(frame: Frame, box: Any, words: ObjectWords) -> tuple[Window, Window]:
    """Return where to cut an object out: in pixels of the frame as it was read, and in pixels of the source.

    `box` is x0, y0, x1, y1 in pixels of the source. With the padding, it is rounded outwards to whole pixels of the
    frame and clipped to it; it has at least one pixel.
    """
    height, width = frame.pixels.shape[:2]
    source_h, source_w = frame.source_hw
    x0, y0, x1, y1 = (float(value) for value in box)
    pad_x, pad_y = words.padding * (x1 - x0), words.padding * (y1 - y0)
    left, right, source_left, source_right = _span(x0 - pad_x, x1 + pad_x, width, source_w)
    top, bottom, source_top, source_bottom = _span(y0 - pad_y, y1 + pad_y, height, source_h)
    return (
        Window(top, left, bottom - top, right - left),
        Window(source_top, source_left, source_bottom - source_top, source_right - source_left),
    )


def _span(low: float, high: float, size: int, source: int) -> tuple[int, int, int, int]:
    """Return the whole pixels of an interval along one axis, in the frame of `size` and in the source."""
    scale = size / source
    first = min(max(int(np.floor(low * scale + 1e-6)), 0), size - 1)
    last = min(max(int(np.ceil(high * scale - 1e-6)), first + 1), size)
    source_first = min(round(first / scale), source - 1)
    return first, last, source_first, min(max(round(last / scale), source_first + 1), source)


def finished(owner: OpenObjects, model: str, detector: str) -> MeasuredFrame:
    """Return the frame with the details of its objects, and the first error among them."""
    measured, result = owner.measured, owner.measured.result
    found: Detections = result.predictions[detector]
    found = replace(
        found,
        details={**found.details, model: tuple(owner.results)},
        reasons={**found.reasons, model: tuple(owner.reasons)},
    )
    faults = dict(result.faults)
    if owner.errors:
        faults[model] = owner.errors[0]
    predictions: Mapping[str, Any] = {**result.predictions, detector: found}
    return replace(measured, result=replace(result, predictions=predictions, faults=faults))


def only(mask: Segmentation, classes: Sequence[int]) -> Segmentation:
    """Return a mask in which every pixel that has none of `classes` is UNKNOWN: it is not part of the object."""
    kept = np.zeros(256, bool)
    kept[list(classes)] = True
    kept[UNKNOWN] = False
    labels = np.where(kept[mask.labels], mask.labels, np.uint8(UNKNOWN))
    if mask.members is None:
        return replace(mask, labels=labels)
    held = kept[: mask.members.shape[2]]
    members = np.where(held, mask.members, np.float16(0))
    some = members.max(axis=2, initial=0) > 0
    best = members.argmax(axis=2).astype(np.uint8)
    return replace(mask, labels=np.where(some, best, np.uint8(UNKNOWN)), members=members)


def fail(owner: OpenObjects, row: int, error: Exception) -> None:
    """Note that an object cannot be measured."""
    owner.reasons[row] = FAILED
    owner.errors.append(to_quadrat_error(error, owner.measured.state.source.name))


def _is_measured(item: Any) -> bool:
    return isinstance(item, MeasuredFrame) and not item.result.frame.skipped


def _is_finite(prediction: Any) -> bool:
    values = prediction.scores if isinstance(prediction, Classification) else None
    values = prediction.vector if isinstance(prediction, Embedding) else values
    return values is None or bool(np.isfinite(values).all())
