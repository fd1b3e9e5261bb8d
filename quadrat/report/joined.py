"""The picture and the video of what all models found in a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from quadrat.media.encode import jpeg
from quadrat.records import ModelRecord
from quadrat.report.aspects import PICTURE, TRACKING, provenance_part, video_part
from quadrat.report.base import ModelFacts, mime_of
from quadrat.types import ImageU8, Product, Result, SourceClosed

KIND = "joined"


def joined_picture(
    picture: ImageU8, result: Result, models: Sequence[ModelFacts], parts: Sequence[ModelRecord]
) -> Product:
    """Return the picture of an image as a product; its metadata say in words what each model found."""
    source, first = result.source, models[0].provenance
    found = {part.model: part.text for part in parts}
    metadata: dict[str, Any] = {
        "$schema": PICTURE,
        "kind": KIND,
        "image": source.urn,
        "image-name": source.name,
        "order": first.order,
        "width": picture.shape[1],
        "height": picture.shape[0],
        "models": [{**_of(model), "found": found.get(model.name, "")} for model in models],
        "provenance": {**provenance_part(first), "image-digest": result.frame.digest},
    }
    return Product(_name(models, source.stem, ".joined.jpg"), "image/jpeg", jpeg(picture), metadata)


def joined_video(closed: SourceClosed, models: Sequence[ModelFacts]) -> Iterator[Product]:
    """Yield the annotated video of all models, if there is one."""
    video = closed.joined.video
    if video is None:
        return
    first = models[0]
    metadata = {
        "$schema": TRACKING,
        "kind": KIND,
        **video_part(closed, closed.closings[first.name], first.provenance),
        "models": [_of(model) for model in models],
        "provenance": {**provenance_part(first.provenance), "source-digest": closed.reading.digest},
    }
    name = _name(models, closed.source.stem, f".joined{video.suffix}")
    yield Product(name, mime_of(video), video, metadata)


def _of(model: ModelFacts) -> dict[str, Any]:
    made = model.provenance
    return {
        "name": model.name,
        "task": (model.own or model).task,
        "model": made.model,
        "model-digest": made.model_digest,
    }


def _name(models: Sequence[ModelFacts], stem: str, ending: str) -> str:
    return replace(models[0], label="").product_name(stem, ending)
