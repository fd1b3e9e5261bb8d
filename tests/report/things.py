"""Detections, sources and a desk at which results become records, products and tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from quadrat.errors import QuadratError
from quadrat.pipeline.measure import image_facts
from quadrat.predictions import Detections, Prediction
from quadrat.records import ModelRecord, SourceRecord, Status
from quadrat.report.base import Collector, ModelFacts
from quadrat.report.names import Names
from quadrat.report.order import OrderReport
from quadrat.task_kinds import kind_of
from quadrat.types import (
    ClassInfo,
    Closing,
    Frame,
    FrameKey,
    Product,
    Provenance,
    Reading,
    Result,
    Source,
    SourceClosed,
)
from tests.values import settings_of

WHO = Provenance("urn:order", "urn:model", "d1", "d3", "0.1.0", "fake", "1", "fp32", "cpu")
CLASSES = tuple(
    ClassInfo(i, f"urn:c:{i}", name, color)
    for i, (name, color) in enumerate(
        [("fish", (255, 140, 0)), ('crab, "red"', (200, 0, 60)), ("Grüße", (20, 20, 120))]
    )
)
VIDEO = Source("urn:v", "a/dive.mp4", "video", stem="dive")
HW = (120, 200)

Predictions = Prediction | Mapping[str, Prediction] | None
"""The prediction of the one model, or of several by name; None if there is none."""


def facts(
    task: str,
    classes: tuple[ClassInfo, ...] = CLASSES,
    *,
    name: str = "m",
    label: str = "",
) -> ModelFacts:
    """Make the facts of a model."""
    groups = kind_of(task).groups_of(settings_of())
    return ModelFacts(name, task, label, WHO, classes, len(classes) or None, groups)


def labelled(**tasks: str) -> list[ModelFacts]:
    """Make the facts of several models; each is labelled by its name."""
    return [facts(task, name=name, label=name) for name, task in tasks.items()]


def video(name: str, names: Names | None = None) -> Source:
    """List a video."""
    source = Source(f"urn:{name}", f"{name}.mp4", "video")
    return replace(source, stem=(names or Names()).of(source))


class Desk:
    """An order by hand: results go in, records and products come out, and tables at its end."""

    def __init__(
        self,
        folder: Path,
        *models: ModelFacts | str,
        names: Names | None = None,
        **settings: object,
    ) -> None:
        folder.mkdir(exist_ok=True, parents=True)
        self.folder = folder
        made = [each if isinstance(each, ModelFacts) else facts(each) for each in models or ("detect",)]
        values = settings_of(**settings)
        self.facts = [replace(each, groups=each.kind.groups_of(values)) for each in made]
        taken = names or Names()
        self.report = OrderReport(self.facts, values.values(), taken, folder)
        self.records: list[SourceRecord] = []
        self._open: dict[str, dict[str, Collector]] = {}

    def collectors(self, source: Source) -> dict[str, Collector]:
        """Make the collector of each model."""
        return {
            each.name: each.kind.part("collector")(each, source, self.folder, *each.groups)
            for each in self.facts
        }

    def picture(self, result: Result) -> Iterator[Product]:
        """Yield the products of a picture; its record comes after the last."""
        parts: list[ModelRecord] = []
        collectors = self.collectors(result.source)
        for collector in collectors.values():
            if result.frame.skipped:
                collector.frame(result)
            else:
                yield from collector.picture(result)
            parts.append(collector.record())
        faults = tuple(fault for part in parts for fault in part.faults)
        status: Status = "skipped" if result.frame.skipped else "partial" if faults else "ok"
        reason = f"the picture is {result.frame.skipped}" if result.frame.skipped else ""
        image = image_facts(result.frame)
        self.add(SourceRecord(result.source, status, faults, reason, image=image, models=tuple(parts)))

    def open(self, source: Source) -> None:
        """Begin a video."""
        self._open[source.urn] = self.collectors(source)

    def frame(self, result: Result) -> None:
        """Take a frame of a video, which is opened by its first one."""
        if result.source.urn not in self._open:
            self.open(result.source)
        for collector in self._open[result.source.urn].values():
            collector.frame(result)

    def closed(self, closed: SourceClosed) -> Iterator[Product]:
        """Yield the products of a video; its record comes after the last."""
        collectors = self._open.pop(closed.source.urn, None) or self.collectors(closed.source)
        for collector in collectors.values():
            yield from collector.closed(closed)
        parts = tuple(collector.record() for collector in collectors.values())
        measured = any(part.measured for part in parts)
        status: Status = "partial" if closed.faults else "ok" if measured else "skipped"
        reason = "" if measured or closed.faults else "no frame was measured"
        self.add(
            SourceRecord(closed.source, status, closed.faults, reason, reading=closed.reading, models=parts)
        )

    def add(self, record: SourceRecord) -> None:
        """Take a record."""
        self.records.append(record)
        self.report.add(record)

    @property
    def part(self) -> ModelRecord:
        """The part of the first model in the last record."""
        return self.records[-1].models[0]

    @cached_property
    def products(self) -> dict[str, Product]:
        """The products of the order's end by name, their bodies in memory."""
        return {each.name: replace(each, body=body(each)) for each in self.report.products([], 1.0)}

    @property
    def tables(self) -> dict[str, str]:
        """The text of the models' tables by name: without run.json and the tables of all sources."""
        others = (self.report.table, "run.json", "images.csv", "totals.csv")
        kept = [each for name, each in self.products.items() if name not in others]
        return {each.name: body(each).decode() for each in kept}

    @property
    def text(self) -> str:
        """The text of survey.csv."""
        return body(self.products[self.report.table]).decode()

    @property
    def rows(self) -> list[dict[str, str]]:
        """The rows of survey.csv."""
        return read(self.text)

    @property
    def found(self) -> list[dict[str, str]]:
        """The rows of survey.csv without those of classes that were not found."""
        return [row for row in self.rows if row["objects"] != "0"]


def body(product: Product) -> bytes:
    """Give the bytes of a product."""
    return product.body if isinstance(product.body, bytes) else product.body.read_bytes()


def read(table: str) -> list[dict[str, str]]:
    """Read a table back."""
    return list(csv.DictReader(io.StringIO(table, newline="")))


def objects(
    rows: Sequence[tuple[float, float, float, float]],
    classes: Sequence[int] | None = None,
    scores: Sequence[float] | None = None,
    tracks: Sequence[int] | None = None,
) -> Detections:
    """Make detections from boxes."""
    count = len(rows)
    return Detections(
        np.array(rows, np.float32).reshape(-1, 4),
        np.array([0.5] * count if scores is None else scores, np.float32),
        np.array([0] * count if classes is None else classes, np.int32),
        None if tracks is None else np.array(tracks, np.int32),
    )


def many(count: int, seed: int = 0, *, tracked: bool = True) -> Detections:
    """Make `count` random detections inside HW."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (2, count, 2)) * np.array([HW[1], HW[0]])
    return Detections(
        np.concatenate([corners.min(0), corners.max(0)], axis=1).astype(np.float32),
        rng.uniform(0.1, 1, count).astype(np.float32),
        rng.integers(0, 3, count).astype(np.int32),
        np.arange(count, dtype=np.int32) - 1 if tracked else None,
    )


def photo(prediction: Predictions, name: str = "p.jpg", skipped: str = "") -> Result:
    """Make the result of a photograph."""
    source = Source(f"urn:{name}", name, stem=Names().stem(name))
    frame = Frame(FrameKey(source.urn), HW, np.full((*HW, 3), 90, np.uint8), "d3", skipped=skipped)
    return Result(source, frame, _by_model(prediction))


def frame(index: int, prediction: Predictions, source: Source = VIDEO, skipped: str = "") -> Result:
    """Make the result of one frame of a video of 25 frames per second."""
    pixels = np.zeros((*HW, 3), np.uint8)
    key = FrameKey(source.urn, index)
    frame = Frame(key, HW, pixels, time_s=index / 25, skipped=skipped)
    return Result(source, frame, _by_model(prediction))


def end(
    count: int,
    source: Source = VIDEO,
    film: Path | None = None,
    *,
    skipped: Mapping[str, int] | None = None,
    faults: tuple[QuadratError, ...] = (),
    models: Sequence[str] = ("m",),
    **reading: Any,
) -> SourceClosed:
    """End a video of `count` frames; every model measured those that are not `skipped`."""
    left_out = dict(skipped or {})
    read = {"rate": 25.0, "declared_frames": count, "read": count, "taken": count, "seconds": count / 25}
    closing = Closing(count - sum(left_out.values()), left_out, faults, film)
    return SourceClosed(source, Reading(HW, **(read | reading)), dict.fromkeys(models, closing))


def _by_model(prediction: Predictions) -> Mapping[str, Prediction]:
    if isinstance(prediction, Mapping):
        return prediction
    return {} if prediction is None else {"m": prediction}
