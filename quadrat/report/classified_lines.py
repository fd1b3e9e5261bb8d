"""The lines of predictions.csv, frame-predictions.csv and predictions.jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from quadrat.predictions import Label
from quadrat.records import ModelRecord, SourceRecord
from quadrat.report.base import error_text, plain
from quadrat.report.classified_values import Verdict, absent, described, significant, summary_of
from quadrat.report.columns import Chunk, Columns, FrameRow
from quadrat.report.survey import csv_line
from quadrat.stores.addresses import shown
from quadrat.tasks.classify.rule import LabelRule
from quadrat.types import Source

_LABEL = ("label", "class_id", "level", "probability", "entropy")
PICTURES = ("source", "name", "media", "status", "error", "by", "frames", "flags", *_LABEL)
FRAMES = ("source", "name", "file", "frame", "time_s", *_LABEL)
KEYS = (
    "source", "name", "media", "by", "file", "frame", "time_s", "width", "height", "skipped", "status", "error", "flags", "unsure",
    "labels", "entropy", "top", "probabilities",
)  # fmt: skip
"""The keys of a line of predictions.jsonl."""
FRAME_CLASSES = 1000
"""Up to this number of classes, the line of a frame of a video has the probability of each; a picture's always has."""
JOINED = "; "
"""Stands between several labels in a cell."""


def columns_of(head: Sequence[str], rule: LabelRule) -> tuple[str, ...]:
    """Return the columns of a table: `head`, and two for each of the most probable classes."""
    listed = [f"{name}_{place}" for place in range(1, rule.top_k + 1) for name in ("class", "probability")]
    return (*head, *listed)


def picture_lines(source: SourceRecord, record: ModelRecord | None, rule: LabelRule) -> Iterator[str]:
    """Yield the lines of predictions.csv for a source: one for an image, two for a video, one without a label if it was not measured.

    `record` is the model's part, None if there is none.
    """
    of = source.source
    flags = "" if source.image is None else " ".join(source.image.flags)
    status, error = _outcome(source, record)
    blank = [""] * (len(_LABEL) + 2 * rule.top_k)
    for verdict in _verdicts(record):
        head = [shown(of.urn, of), shown(of.name, of), of.media, status, shown(error, of)]
        moving = (
            [verdict.by, record.measured if record is not None else ""]
            if verdict and verdict.by
            else ["", ""]
        )
        yield csv_line([*head, *moving, flags, *(_cells(verdict, rule) if verdict is not None else blank)])


def _verdicts(record: ModelRecord | None) -> Sequence[Verdict | None]:
    """Return the verdicts of a record, or None in place of one."""
    summary = None if record is None else summary_of(record)
    return (None,) if summary is None else summary.verdicts


def _outcome(source: SourceRecord, record: ModelRecord | None) -> tuple[str, str]:
    """Return the status of a source for a model, and its errors or why it was skipped."""
    faults = source.faults if record is None or not record.faults else record.faults
    measured = record is not None and summary_of(record) is not None
    error = error_text(faults, source.source.name) or ("" if measured else source.reason)
    if not measured and len(source.models) > 1 and source.status in ("ok", "flagged", "partial"):
        return ("failed" if faults else "skipped"), error
    return source.status, error


def frame_lines(source: Source, columns: Columns, rule: LabelRule) -> Iterator[str]:
    """Yield a line of frame-predictions.csv for each measured frame of a video."""
    head = [shown(source.urn, source), shown(source.name, source)]
    for frame, verdict in frames_of(columns, rule):
        if verdict is not None:
            yield csv_line([*head, frame.file, frame.index, _time(frame), *_cells(verdict, rule)])


def json_lines(source: SourceRecord, record: ModelRecord | None, rule: LabelRule) -> Iterator[str]:
    """Yield a line of predictions.jsonl for each line of predictions.csv."""
    image, reading = source.image, source.reading
    hw = image.source_hw if image is not None else reading.hw if reading is not None else (0, 0)
    status, error = _outcome(source, record)
    more = {
        "flags": [] if image is None else list(image.flags),
        "status": status,
        "error": plain(shown(error, source.source)) or None,
    }
    for verdict in _verdicts(record):
        yield _json(source.source, FrameRow(0, None, "", hw), verdict, rule, more)


def json_frames(source: Source, columns: Columns, rule: LabelRule) -> Iterator[str]:
    """Yield a line of predictions.jsonl for each frame of a video, also for a skipped one."""
    for frame, verdict in frames_of(columns, rule):
        yield _json(source, frame, verdict, rule, {})


def frames_of(columns: Columns, rule: LabelRule) -> Iterator[tuple[FrameRow, Verdict | None]]:
    """Yield each frame of a video with its labels; None for one that was not measured."""
    for chunk in columns:
        for place, frame in enumerate(chunk.frames):
            yield frame, _verdict(chunk, place, rule)


def _verdict(chunk: Chunk, place: int, rule: LabelRule) -> Verdict | None:
    rows = chunk.rows(place)
    if rows.start == rows.stop:
        return None
    return Verdict.of(rule.classify(np.asarray(chunk.columns["scores"][rows.start], np.float32)))


def _cells(verdict: Verdict, rule: LabelRule) -> list[Any]:
    """Return the cells of a label and of the most probable classes. Without a label, the first one says so."""
    labels = verdict.labels
    cells: list[Any] = [
        JOINED.join(label.name for label in labels) or absent(rule).name,
        " ".join(label.id for label in labels),
        JOINED.join(label.level for label in labels) if any(label.level for label in labels) else "",
        JOINED.join(f"{label.probability:.6f}" for label in labels),
        "" if verdict.entropy is None else f"{verdict.entropy:.4f}",
    ]
    for label in verdict.top[: rule.top_k]:
        cells += [label.name, f"{label.probability:.6f}"]
    return cells


def _json(
    source: Source, frame: FrameRow, verdict: Verdict | None, rule: LabelRule, more: dict[str, Any]
) -> str:
    moving = source.media != "image" and not more  # a frame of a video
    line: dict[str, Any] = {
        "source": plain(shown(source.urn, source)),
        "name": plain(shown(source.name, source)),
        "media": source.media,
        "by": (verdict.by if verdict is not None else "") or None,
        "file": plain(frame.file) or None,
        "frame": frame.index if moving else None,
        "time_s": None if frame.time_s is None else round(frame.time_s, 6),
        "width": frame.hw[1],
        "height": frame.hw[0],
        "skipped": frame.skipped or None,
        **more,
    }
    if verdict is not None:
        line |= {
            "unsure": not verdict.labels and not rule.multi_label,
            "labels": _listed(verdict.labels),
            "entropy": None if verdict.entropy is None else significant(verdict.entropy),
            "top": _listed(verdict.top[: rule.top_k]),
        }
        if more or len(verdict.scores) <= FRAME_CLASSES:
            scores = verdict.scores.tolist()
            line["probabilities"] = {
                info.name: significant(score) for info, score in zip(rule.names, scores, strict=False)
            }
    return json.dumps(line) + "\n"


def _listed(labels: Sequence[Label]) -> list[dict[str, Any]]:
    return [{name.replace("-", "_"): value for name, value in described(label).items()} for label in labels]


def _time(frame: FrameRow) -> str:
    return "" if frame.time_s is None else f"{frame.time_s:.6f}"
