"""Metadata of the products of a classifier."""

from __future__ import annotations

from typing import Any

from quadrat.media.facts import flags_of
from quadrat.report.aspects import facts_part, provenance_part, video_part
from quadrat.report.classified_values import Verdict, described, significant
from quadrat.types import Closing, Frame, Provenance, Source, SourceClosed

CLASSIFICATION = "urn:ibenthos:schema:quadrat.classification.1"
VIDEO = "urn:ibenthos:schema:quadrat.video-classification.1"


def label_aspect(
    source: Source, frame: Frame, verdict: Verdict, provenance: Provenance, *, multi_label: bool
) -> dict[str, Any]:
    """Describe the labels of one image."""
    return {
        "$schema": CLASSIFICATION,
        "image": source.urn,
        "image-name": source.name,
        "model": provenance.model,
        "order": provenance.order,
        "status": "flagged" if flags_of(frame.facts, frame.source_hw, frame.depth) else "ok",
        "source-width": frame.source_hw[1],
        "source-height": frame.source_hw[0],
        **_labels(verdict, multi_label=multi_label),
        **facts_part(frame),
        "exif": dict(frame.exif),
        "provenance": {**provenance_part(provenance), "image-digest": frame.digest},
    }


def labelled_aspect(
    closed: SourceClosed,
    closing: Closing,
    verdicts: tuple[Verdict, ...],
    provenance: Provenance,
    *,
    multi_label: bool,
) -> dict[str, Any]:
    """Describe the labels of a video, by the mean and by the maximum over its measured frames."""
    return {
        "$schema": VIDEO,
        **video_part(closed, closing, provenance),
        **{f"by-{each.by}": _labels(each, multi_label=multi_label) for each in verdicts},
        "provenance": {**provenance_part(provenance), "source-digest": closed.reading.digest},
    }


def _labels(verdict: Verdict, *, multi_label: bool) -> dict[str, Any]:
    return {
        "labels": [described(label) for label in verdict.labels],
        "unsure": not verdict.labels and not multi_label,
        "multi-label": multi_label,
        "entropy": None if verdict.entropy is None else significant(verdict.entropy),
        "top": [described(label) for label in verdict.top],
    }
