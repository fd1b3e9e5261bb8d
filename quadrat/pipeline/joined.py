"""One picture of what all models found: boxes with the labels of both models of a cascade, over tinted masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from quadrat.media.size import working_hw
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.predictions import Classification, Detections, Segmentation
from quadrat.render.boxes import draw_boxes
from quadrat.render.labelled import draw_labels
from quadrat.render.object_masks import tint_objects
from quadrat.render.overlay import covers_of, draw_overlay
from quadrat.types import Frame, ImageU8, Result

JOINED = "joined"
"""The name of the picture, among those of `outputs`."""
PICTURE_PIXELS = 1_000_000
"""The most pixels of the picture: drawing a larger one would take longer than decoding for the other models."""
UNDER = "overlay"
"""Pictures that are drawn first, because others are drawn over them."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """One model's part of the picture; `finer` are the models about its objects."""

    model: LoadedModel
    draw: Callable[..., ImageU8]
    finer: tuple[LoadedModel, ...]


class JoinedPicture:
    """Draws the predictions of all models of a pass into one picture: masks first, then boxes, then labels.

    Models about objects have no layer: their labels stand beside those of the detector. The legends of an image stand
    below it, one under the other; those of a video stand in its frame.
    """

    def __init__(self, models: Pass) -> None:
        style = models.settings.pictures
        self._style = replace(style, overlay_style="tint") if style.overlay_style == "beside" else style
        layers = [
            _Layer(models[name], models[name].kind.part("annotate"), tuple(_about(models, name)))
            for name in shown(models)
            if models[name].about is None
        ]
        self._layers = sorted(layers, key=lambda layer: UNDER not in layer.model.kind.all_pictures)

    def draw(self, result: Result) -> ImageU8:
        """Return the picture of a frame, of at most PICTURE_PIXELS."""
        frame = replace(result.frame, pixels=_small(result.frame.pixels))
        height = frame.pixels.shape[0]
        below: list[ImageU8] = []
        for layer in self._layers:
            found = result.predictions.get(layer.model.name)
            if found is None:
                continue
            drawn = self._drawn(layer, frame, found)
            frame = replace(frame, pixels=drawn[:height])
            below.append(drawn[height:])
        return np.concatenate([frame.pixels, *below])

    def _drawn(self, layer: _Layer, frame: Frame, found: Any) -> ImageU8:
        classes = layer.model.package.classes
        if frame.time_s is None and isinstance(found, Segmentation):
            covers, overlap = covers_of(found, classes), found.members is not None
            return draw_overlay(frame.pixels, found.labels, covers, self._style, overlap=overlap)
        if frame.time_s is None and isinstance(found, Classification):
            return draw_labels(frame.pixels, found)
        if not isinstance(found, Detections) or not layer.finer:
            return layer.draw(frame, found, classes, self._style)
        tinted = tint_objects(frame.pixels, found, classes, frame.source_hw, self._style)
        notes = [_note(layer.finer, found, row) for row in range(len(found))]
        labels = self._style.box_labels
        return draw_boxes(tinted, found, classes, frame.source_hw, labels=labels, notes=notes)


def shown(models: Pass) -> list[str]:
    """Return the names of the models that the picture shows: those that measure, and draw something."""
    return [
        name
        for name in models.counted
        if models[name].kind.measures and models.kind_of(name).all_pictures and models.kind_of(name).annotate
    ]


def is_drawn(models: Pass, *, moving: bool) -> bool:
    """Return True if the picture is drawn: if it is asked for, or by default of images.

    It needs several models; variants of one model would hide each other. Another video to encode takes longer than
    the measurement, so it is made only if it is asked for.
    """
    outputs, names = models.settings.pictures.outputs, shown(models)
    if len(names) < 2 or any(models[name].variant for name in names):
        return False
    return JOINED in outputs or (not outputs and not moving)


def _about(models: Pass, detector: str) -> list[LoadedModel]:
    return [each for each in models.on_objects if each.about is not None and each.about.detector == detector]


def _note(models: tuple[LoadedModel, ...], found: Detections, row: int) -> str:
    """Return the finer classes of an object with their scores; empty for one without."""
    notes = []
    for model in models:
        result = found.details.get(model.name, ())[row] if model.name in found.details else None
        if result is None or model.about is None:
            continue
        groups = model.kind.groups_of(model.settings)
        cells = model.kind.part("object_cells")(result.prediction, model.about.parts, *groups)
        if cells.get("class"):
            score = cells.get("score", "")
            notes.append(f"{cells['class']} {score:.2f}" if isinstance(score, float) else f"{cells['class']}")
    return ", ".join(notes)


def _small(pixels: ImageU8) -> ImageU8:
    height, width = working_hw((pixels.shape[0], pixels.shape[1]), PICTURE_PIXELS)
    if (height, width) == pixels.shape[:2]:
        return pixels
    small: ImageU8 = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return small
