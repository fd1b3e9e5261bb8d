"""Metadata of products: the aspects that travel with them.

Every aspect has six keys or more: with fewer the platform's SDK flattens values to text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from quadrat.types import Cover, Frame, Provenance, Source

INFERENCE = "urn:ibenthos:schema:paddle.seg.inference.1"
PICTURE = "urn:ibenthos:schema:quadrat.picture.1"
SURVEY = "urn:ibenthos:schema:quadrat.survey.1"


def inference_aspect(
    source: Source,
    frame: Frame,
    covers: Sequence[Cover],
    provenance: Provenance,
    *,
    size: tuple[int, int],
    confidence: float | None,
    min_confidence: float,
) -> dict[str, Any]:
    """Describe one measured image; `size` is the mask's (height, width) in pixels.

    Keys `image`, `model`, `width`, `height`, `cover` and `order` are those of the original service.
    """
    return {
        "$schema": INFERENCE,
        "image": source.urn,
        "image-name": source.name,
        "model": provenance.model,
        "order": provenance.order,
        "width": size[1],
        "height": size[0],
        "source-width": frame.source_hw[1],
        "source-height": frame.source_hw[0],
        "cover": [_cover(c) for c in covers],
        "mean-confidence": _rounded(confidence),
        "min-confidence": min_confidence,
        "exif": dict(frame.exif),
        "provenance": {**_provenance(provenance), "image-digest": frame.digest},
    }


def picture_aspect(kind: str, main: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a further picture of an image, from the aspect of its pseudo-colour image."""
    kept = ("image", "image-name", "model", "order", "width", "height", "provenance")
    return {"$schema": PICTURE, "kind": kind, **{k: main[k] for k in kept}}


def survey_aspect(
    provenance: Provenance, counts: Mapping[str, int], covers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Describe the order's table: images by status, and the mean cover of each class over images."""
    return {
        "$schema": SURVEY,
        "order": provenance.order,
        "model": provenance.model,
        "images": sum(counts.values()),
        "measured": counts.get("ok", 0),
        "failed": counts.get("failed", 0),
        "skipped": counts.get("skipped", 0),
        "not-reached": counts.get("not-reached", 0),
        "mean-cover": [dict(c) for c in covers],
        "provenance": _provenance(provenance),
    }


def _provenance(provenance: Provenance) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in asdict(provenance).items()}


def _cover(cover: Cover) -> dict[str, Any]:
    return {
        "id": cover.id,
        "name": cover.name,
        "color": list(cover.color),
        "cover": cover.cover,
        "pixels": cover.pixels,
        "mean-confidence": _rounded(cover.confidence),
    }


def _rounded(value: float | None) -> float | None:
    """Confidences are known to about three digits (float16)."""
    return None if value is None else round(value, 4)
