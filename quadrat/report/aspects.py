"""Metadata of products, called aspects.

Every aspect has at least six keys, because the platform's SDK flattens the values of smaller ones to text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from quadrat.errors import QuadratError
from quadrat.media.facts import flags_of
from quadrat.predictions import Detections
from quadrat.report.base import error_text, status_of
from quadrat.report.counts import ClassCount
from quadrat.stores.addresses import shown
from quadrat.types import ClassInfo, Closing, Cover, Frame, Provenance, Source, SourceClosed

INFERENCE = "urn:ibenthos:schema:paddle.seg.inference.1"
PICTURE = "urn:ibenthos:schema:quadrat.picture.1"
SURVEY = "urn:ibenthos:schema:quadrat.survey.1"
COVERED = "urn:ibenthos:schema:quadrat.video-cover.1"
DETECTION = "urn:ibenthos:schema:quadrat.detection.1"
TRACKING = "urn:ibenthos:schema:quadrat.tracking.1"
ENHANCED = "urn:ibenthos:schema:quadrat.enhanced.1"
TABLE = "urn:ibenthos:schema:quadrat.table.1"

LISTED = 10_000
"""Most objects of an image that its aspect lists; the tables have all."""


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
        **facts_part(frame),
        "exif": dict(frame.exif),
        "provenance": {**provenance_part(provenance), "image-digest": frame.digest},
    }


def picture_aspect(kind: str, main: Mapping[str, Any]) -> dict[str, Any]:
    """Describe another picture of an image; `main` is the aspect of its pseudo-colour picture."""
    kept = ("image", "image-name", "model", "order", "width", "height", "provenance")
    return {"$schema": PICTURE, "kind": kind, **{k: main[k] for k in kept}}


def survey_aspect(
    provenance: Provenance,
    counts: Mapping[str, int],
    totals: Mapping[str, Any],
    models: Sequence[Mapping[str, Any]] = (),
    flags: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Describe the order's table: number of sources by status, and the task's `totals` over all of them.

    If there are several models, `models` holds the totals of each, and `provenance` is that of the first. `flags`
    counts the images with each flag.
    """
    return {
        "$schema": SURVEY,
        "order": provenance.order,
        "model": provenance.model,
        "images": sum(counts.values()),
        "measured": sum(counts.get(status, 0) for status in ("ok", "flagged", "partial")),
        "flagged": counts.get("flagged", 0),
        "flags": dict(flags or {}),
        "partial": counts.get("partial", 0),
        "failed": counts.get("failed", 0),
        "skipped": counts.get("skipped", 0),
        "not-reached": counts.get("not-reached", 0),
        "mean-cover": totals.get("mean-cover", []),
        **{key: value for key, value in totals.items() if key != "mean-cover" and value},
        **({"models": [dict(model) for model in models]} if models else {}),
        "provenance": provenance_part(provenance),
    }


def detection_aspect(
    source: Source,
    frame: Frame,
    detections: Detections,
    found: Sequence[ClassCount],
    provenance: Provenance,
    *,
    size: tuple[int, int],
    error: QuadratError | None = None,
) -> dict[str, Any]:
    """Describe one image's objects; `size` is the annotated picture's (height, width) in pixels.

    `error` is the reason if the image is measured only in part. Boxes are in pixels of the upright source. At most
    LISTED objects are listed.
    """
    return {
        "$schema": DETECTION,
        "image": source.urn,
        "image-name": source.name,
        "model": provenance.model,
        "order": provenance.order,
        "status": "partial"
        if error
        else "flagged"
        if flags_of(frame.facts, frame.source_hw, frame.depth)
        else "ok",
        "error": error.line if error else None,
        "width": size[1],
        "height": size[0],
        "source-width": frame.source_hw[1],
        "source-height": frame.source_hw[0],
        "objects": len(detections),
        "classes": [_found(one) for one in found],
        "detections": _objects(detections, {one.info.index: one.info for one in found}),
        **facts_part(frame),
        "exif": dict(frame.exif),
        "provenance": {**provenance_part(provenance), "image-digest": frame.digest},
    }


def enhanced_aspect(
    source: Source, frame: Frame, provenance: Provenance, *, size: tuple[int, int], lost: Sequence[str] = ()
) -> dict[str, Any]:
    """Describe the enhanced picture of an image: `size` is its (height, width) in pixels, `lost` what it lacks."""
    return {
        "$schema": ENHANCED,
        "image": source.urn,
        "image-name": source.name,
        "model": provenance.model,
        "order": provenance.order,
        "width": size[1],
        "height": size[0],
        "source-width": frame.source_hw[1],
        "source-height": frame.source_hw[0],
        "lost": list(lost),
        **facts_part(frame),
        "exif": dict(frame.exif),
        "provenance": {**provenance_part(provenance), "image-digest": frame.digest},
    }


def enhanced_video_aspect(closed: SourceClosed, closing: Closing, provenance: Provenance) -> dict[str, Any]:
    """Describe an enhanced video."""
    return {
        "$schema": ENHANCED,
        **video_part(closed, closing, provenance),
        "provenance": {**provenance_part(provenance), "source-digest": closed.reading.digest},
    }


def tracking_aspect(
    closed: SourceClosed,
    closing: Closing,
    found: Sequence[ClassCount],
    listed: Sequence[Mapping[str, Any]],
    provenance: Provenance,
    *,
    tracks: int | None,
) -> dict[str, Any]:
    """Describe a video's tracks.

    `listed` describes single tracks; `tracks` is the number of all, None if objects are not tracked.
    """
    return {
        "$schema": TRACKING,
        **video_part(closed, closing, provenance),
        "detections": sum(one.objects for one in found),
        "track-count": tracks,
        "classes": [_followed(one) for one in found],
        "tracks": [dict(track) for track in listed],
        "provenance": {**provenance_part(provenance), "source-digest": closed.reading.digest},
    }


def covered_aspect(
    closed: SourceClosed,
    closing: Closing,
    covers: Sequence[Cover],
    provenance: Provenance,
    *,
    confidence: float | None,
    min_confidence: float,
) -> dict[str, Any]:
    """Describe a video measured by a segmentation model; `covers` are means over its measured frames."""
    return {
        "$schema": COVERED,
        **video_part(closed, closing, provenance),
        "cover": [_cover(c) for c in covers],
        "mean-confidence": _rounded(confidence),
        "min-confidence": min_confidence,
        "provenance": {**provenance_part(provenance), "source-digest": closed.reading.digest},
    }


def video_part(closed: SourceClosed, closing: Closing, provenance: Provenance) -> dict[str, Any]:
    """Describe a video, sequence or stream: what was read of it and measured, and what is missing."""
    source, reading = closed.source, closed.reading
    error = error_text(closing.faults)
    return {
        "source": shown(source.urn, source),
        "source-name": shown(source.name, source),
        "media": source.media,
        "model": provenance.model,
        "order": provenance.order,
        "status": status_of(closing),
        "error": shown(error, source) if error else None,
        "warnings": list(reading.warnings),
        "width": reading.hw[1],
        "height": reading.hw[0],
        "rotation": reading.rotation,
        "pixel-aspect": reading.pixel_aspect,
        "codec": reading.codec,
        "rate": _rounded(reading.rate),
        "seconds": round(reading.seconds, 3),
        "declared-seconds": _rounded(reading.declared_s),
        "frames": {
            "declared": reading.declared_frames,
            "read": reading.read,
            "taken": reading.taken,
            "measured": closing.measured,
            "dropped": reading.dropped,
            "damaged": reading.damaged,
            "skipped": dict(closing.skipped),
        },
        "gaps": [
            {"start": round(g.start_s, 3), "end": round(g.end_s, 3), "reason": shown(g.reason, source)}
            for g in reading.gaps
        ],
    }


def table_aspect(kind: str, columns: Sequence[str], provenance: Provenance, rows: int) -> dict[str, Any]:
    """Describe a table: its kind, its columns, and its number of rows."""
    return {
        "$schema": TABLE,
        "kind": kind,
        "order": provenance.order,
        "model": provenance.model,
        "columns": list(columns),
        "rows": rows,
        "provenance": provenance_part(provenance),
    }


def provenance_part(provenance: Provenance) -> dict[str, Any]:
    """Return the provenance of a product as plain values; the digest of a detector only for a model about objects."""
    values = {name.replace("_", "-"): value for name, value in asdict(provenance).items()}
    return {name: value for name, value in values.items() if name != "detector-digest" or value}


def facts_part(frame: Frame) -> dict[str, Any]:
    """Return the facts and flags of an image; whether it is a duplicate is known only in the tables."""
    if frame.facts is None:
        return {}
    depth = {} if frame.depth is None else {"bits": frame.depth.bits, "bits-from": frame.depth.source}
    return {
        "flags": list(flags_of(frame.facts, frame.source_hw, frame.depth)),
        "facts": asdict(frame.facts) | depth,
    }


def _cover(cover: Cover) -> dict[str, Any]:
    return {
        "id": cover.id,
        "name": cover.name,
        "color": list(cover.color),
        "cover": cover.cover,
        "pixels": cover.pixels,
        "mean-confidence": _rounded(cover.confidence),
    }


def _found(found: ClassCount) -> dict[str, Any]:
    return {
        "id": found.info.id,
        "name": found.info.name,
        "color": list(found.info.color),
        "count": found.objects,
        "max-at-once": found.most,
        "mean-score": _rounded(found.mean_score),
    }


def _followed(found: ClassCount) -> dict[str, Any]:
    """Describe a class in a video, with its tracks and the frame that has the most objects at once."""
    return {
        **_found(found),
        "max-at-once-frame": found.most_frame,
        "max-at-once-time": None if found.most_s is None else round(found.most_s, 3),
        "tracks": found.tracks,
    }


def _objects(detections: Detections, classes: Mapping[int, ClassInfo]) -> list[dict[str, Any]]:
    boxes = np.round(detections.boxes[:LISTED].astype(np.float64), 2).tolist()
    scores = np.round(detections.scores[:LISTED].astype(np.float64), 4).tolist()
    infos = [classes[index] for index in detections.classes[:LISTED].tolist()]
    return [
        {"class-id": info.id, "class": info.name, "score": score, "box": box}
        for info, score, box in zip(infos, scores, boxes, strict=True)
    ]


def _rounded(value: float | None) -> float | None:
    """Round to four digits; confidences are exact to about three, because they are float16."""
    return None if value is None else round(value, 4)
