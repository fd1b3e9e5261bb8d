"""Products and rows of segmentation: pictures and covers of images, covers of videos frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from quadrat.errors import printable
from quadrat.parameters import MaskSettings, PictureSettings, TileSettings
from quadrat.predictions import Segmentation
from quadrat.records import ModelRecord, SourceRecord
from quadrat.render.pictures import draw_pictures
from quadrat.report.aspects import covered_aspect, inference_aspect, picture_aspect, table_aspect
from quadrat.report.base import ClassValue, ModelFacts, mime_of
from quadrat.report.columns import Chunk, Columns, ColumnWriter, FrameRow
from quadrat.report.cover import class_at, mean_confidence, measure, no_class
from quadrat.report.names import Names
from quadrat.report.spool import Spool
from quadrat.report.survey import csv_cell
from quadrat.stores.addresses import shown
from quadrat.types import ClassInfo, Cover, Product, Result, Source, SourceClosed

COLUMNS = (
    "source", "name", "frame", "time_s", "class_id", "class", "cover", "pixels", "mean_confidence",
)  # fmt: skip
HEAD = ",".join(COLUMNS) + "\r\n"


@dataclass(frozen=True, slots=True)
class CoverSummary:
    """The cover of each class in one source: of a picture, or the mean over the measured frames of a video.

    With `multi_label` a pixel can have several classes or none, so that the covers do not sum to 1.
    """

    covers: tuple[Cover, ...]
    multi_label: bool = False


MOST_NAMED = 8
"""The most classes that a line of the log names."""


class MaskCollector:
    """Collects the masks of one source."""

    def __init__(
        self,
        model: ModelFacts,
        source: Source,
        folder: Path,
        masks: MaskSettings,
        _tiles: TileSettings,
        pictures: PictureSettings,
    ) -> None:
        self._model = model
        self._source = source
        self._folder = folder
        self._floor = masks.min_confidence
        self._style = pictures
        self._kinds = pictures.outputs or model.kind.pictures["image"][:1]
        self._columns = ColumnWriter(folder / model.temporary_name(source.stem, ".columns"))
        self._sums: dict[int, Cover] = {}
        self._weights: dict[int, float] = {}
        self._pixels = 0
        self._multi_label = False
        self._record = ModelRecord(model.name, model.task)

    def picture(self, result: Result) -> Iterator[Product]:
        """Yield all pictures of one image."""
        frame, segmentation = result.view(self._model.name), self._mask(result)
        covers = measure(self._model, segmentation, self._floor)
        size = segmentation.labels.shape[0], segmentation.labels.shape[1]
        aspect = inference_aspect(
            self._source,
            frame,
            covers,
            self._model.provenance,
            size=size,
            confidence=mean_confidence(segmentation),
            min_confidence=self._floor,
        )
        drawn = covers
        if segmentation.members is not None:
            drawn = [*covers, no_class(segmentation)]
            aspect |= {"multi-label": True, "no-class": drawn[-1].cover}
        first = ""
        for picture in draw_pictures(frame, segmentation, drawn, self._kinds, self._style):
            metadata = aspect if picture.kind == "pseudo" else picture_aspect(picture.kind, aspect)
            if picture.kind.endswith("mask"):
                metadata["class"] = picture.about
            name = self._model.product_name(self._source.stem, f".{picture.kind}{picture.suffix}")
            yield Product(name, picture.mime, picture.body, metadata)
            first = first or name
        self._record = replace(
            self._record,
            measured=1,
            size=size,
            product=first,
            summary=CoverSummary(tuple(covers), segmentation.members is not None),
            text=_text(covers),
        )

    def frame(self, result: Result) -> None:
        """Add the covers of one frame; a frame without a mask has none."""
        frame = result.view(self._model.name)
        if result.frame.skipped or self._model.name not in result.predictions:
            self._columns.add(replace(frame, skipped=result.frame.skipped or "failed"), {}, 0)
            return
        segmentation = self._mask(result)
        self._multi_label = segmentation.members is not None
        covers = measure(self._model, segmentation, self._floor)
        self._columns.add(frame, _arrays(covers), len(covers))
        for cover in covers:
            old = self._sums.get(cover.index, replace(cover, pixels=0))
            self._sums[cover.index] = replace(old, pixels=old.pixels + cover.pixels)
            if cover.confidence is not None:
                weight = self._weights.get(cover.index, 0.0)
                self._weights[cover.index] = weight + cover.confidence * cover.pixels
        self._pixels += segmentation.labels.size

    def closed(self, closed: SourceClosed) -> Iterator[Product]:
        """Yield the annotated video, if there is one, and the table of covers."""
        closing = closed.closings[self._model.name]
        covers, columns = self._means(), self._columns.finish()
        mean = sum(self._weights.values()) / self._pixels if self._weights and self._pixels else None
        aspect = covered_aspect(
            closed,
            closing,
            covers,
            self._model.provenance,
            confidence=mean,
            min_confidence=self._floor,
        ) | ({"multi-label": True} if self._multi_label else {})
        table = main = self._model.product_name(self._source.stem, ".cover.csv")
        if closing.video is not None:
            main = self._model.product_name(self._source.stem, closing.video.suffix)
            yield Product(main, mime_of(closing.video), closing.video, aspect)
        rows = Spool(self._folder / self._model.temporary_name(self._source.stem, ".cover"))
        rows.write(HEAD)
        count = rows.extend(cover_lines(self._source, columns, self._model, list(self._sums)))
        rows.flush()
        metadata = table_aspect("cover", COLUMNS, self._model.provenance, count)
        yield Product(table, "text/csv", rows.path, aspect if closing.video is None else metadata)
        rows.delete()
        self._record = replace(
            self._record,
            measured=closing.measured,
            skipped=closing.skipped,
            faults=closing.faults,
            product=main,
            summary=CoverSummary(tuple(covers), self._multi_label),
            columns=columns,
            text=_text(covers) or "no frame was measured",
        )

    def record(self) -> ModelRecord:
        """Return the covers of the source."""
        return self._record

    def _mask(self, result: Result) -> Segmentation:
        prediction = result.predictions[self._model.name]
        if not isinstance(prediction, Segmentation):
            raise TypeError(f"the model {self._model.name} gave {type(prediction).__name__}, not a mask")
        return prediction

    def _means(self) -> list[Cover]:
        """Compute mean covers from the sums over frames. All frames have one size, so they have equal weights."""
        means = []
        for index, total in sorted(self._sums.items()):
            weight = self._weights.get(index) if total.pixels else None
            confidence = None if weight is None else weight / total.pixels
            means.append(replace(total, cover=total.pixels / max(self._pixels, 1), confidence=confidence))
        return means


class MaskTables:
    """Folds covers into cover.csv, the rows of survey.csv, and the mean covers of the order."""

    measure = "cover"

    def __init__(self, model: ModelFacts, names: Names, folder: Path, *_groups: object) -> None:
        self._model = model
        self._name = model.table_name(names, "cover.csv")
        self._rows = Spool(folder / f"{self._name}.rows")
        self._rows.write(HEAD)
        self._count = 0
        self._has_videos = False
        self._multi_label = False
        self._means: dict[int, tuple[Cover, float]] = {}
        self._sources = 0
        self._classes = {info.index: info for info in model.classes}

    def learn(self, record: ModelRecord) -> None:
        """Take note of the classes in a record."""
        for cover in _covers(record):
            if cover.index not in self._classes:
                self._classes[cover.index] = ClassInfo(cover.index, cover.id, cover.name, cover.color)

    def classes(self) -> list[ClassInfo]:
        """List the classes of the archive and those that were found."""
        return [info for _, info in sorted(self._classes.items())]

    def values(self, record: ModelRecord) -> list[ClassValue]:
        """Return the cover of every class; nothing if the image was not measured."""
        return [
            ClassValue(ClassInfo(cover.index, cover.id, cover.name, cover.color), cover.cover)
            for cover in self._complete(record)
        ]

    def _complete(self, record: ModelRecord) -> list[Cover]:
        """Return the cover of every class of the order; without a list of classes, a mask ends at its highest."""
        found = {cover.index: cover for cover in _covers(record)}
        return [found.get(info.index) or _zero(info) for info in self.classes()] if found else []

    def frames(self, record: ModelRecord) -> Iterator[tuple[FrameRow, list[ClassValue]]]:
        """Yield each frame of a video with the cover of every class; nothing for one that was not measured."""
        classes = self.classes()
        for chunk in record.columns if isinstance(record.columns, Columns) else ():
            for place, frame in enumerate(chunk.frames):
                rows = chunk.rows(place)
                found: dict[int, float] = {}
                if chunk.columns:
                    indices, covers = chunk.columns["classes"][rows], chunk.columns["cover"][rows]
                    found = dict(zip(indices.tolist(), covers.tolist(), strict=True))
                every = classes if found else []
                yield frame, [ClassValue(info, float(found.get(info.index, 0.0))) for info in every]

    def cells(self, record: ModelRecord) -> list[dict[str, Any]]:
        """Return one row for each class."""
        return [
            {
                "class_id": cover.id,
                "class": cover.name,
                "cover": f"{cover.cover:.6f}",
                "pixels": cover.pixels,
                "mean_confidence": "" if cover.confidence is None else f"{cover.confidence:.4f}",
                "multi_label": "yes" if _overlap(record) else "",
            }
            for cover in self._complete(record)
        ]

    def count(self, record: ModelRecord) -> None:
        """Add the covers of a source."""
        covers = _covers(record)
        self._multi_label |= _overlap(record)
        self._sources += bool(covers)
        for cover in covers:
            total = self._means.get(cover.index, (cover, 0.0))[1]
            self._means[cover.index] = (cover, total + cover.cover)

    def add(self, source: SourceRecord, record: ModelRecord) -> None:
        """Write the covers of all frames of a video."""
        if isinstance(record.columns, Columns):
            self._has_videos = True
            lines = cover_lines(source.source, record.columns, self._model, list(self._classes))
            self._count += self._rows.extend(lines)

    def totals(self) -> dict[str, Any]:
        """Return the mean cover of each class over the sources in which something was measured."""
        count = max(self._sources, 1)
        means = [
            {"id": cover.id, "name": cover.name, "mean-cover": total / count}
            for cover, total in self._means.values()
        ]
        return {"mean-cover": means, **({"multi-label": True} if self._multi_label else {})}

    def products(self) -> Iterator[Product]:
        """Yield cover.csv with the covers of all frames of all videos; nothing if there was no video."""
        if not self._has_videos:
            return
        self._rows.flush()
        metadata = table_aspect("cover", COLUMNS, self._model.provenance, self._count)
        yield Product(self._name, "text/csv", self._rows.path, metadata)


def cover_lines(
    source: Source, columns: Columns, model: ModelFacts, every: Sequence[int] = ()
) -> Iterator[str]:
    """Write one line of cover.csv for each class of each measured frame.

    `every` are the indices of all classes: one that a frame does not have gets a line with a cover of 0.
    """
    head = "".join(csv_cell(shown(text, source)) + "," for text in (source.urn, source.name))
    named: dict[int, str] = {}
    for chunk in columns:
        arrays = {name: column.tolist() for name, column in chunk.columns.items()}
        for place, frame in enumerate(chunk.frames):
            time_s = "" if frame.time_s is None else f"{frame.time_s:.6f}"
            rows = {arrays["classes"][row]: row for row in _range(chunk, place)}
            for index in sorted({*rows, *every}) if rows else ():
                if index not in named:
                    info = class_at(model, index)
                    named[index] = f"{csv_cell(info.id)},{csv_cell(info.name)}"
                if index not in rows:
                    yield f"{head}{frame.index},{time_s},{named[index]},0.000000,0,\r\n"
                    continue
                row = rows[index]
                confidence = arrays["confidence"][row]
                mean = "" if confidence != confidence else f"{confidence:.4f}"  # noqa: PLR0124 - NaN is none
                cover, pixels = arrays["cover"][row], arrays["pixels"][row]
                yield f"{head}{frame.index},{time_s},{named[index]},{cover:.6f},{pixels},{mean}\r\n"


def _arrays(covers: Sequence[Cover]) -> dict[str, Any]:
    """Turn covers into columns; a class without pixels or scores has the confidence NaN."""
    return {
        "classes": np.array([cover.index for cover in covers], np.int32),
        "cover": np.array([cover.cover for cover in covers], np.float64),
        "pixels": np.array([cover.pixels for cover in covers], np.int64),
        "confidence": np.array(
            [np.nan if cover.confidence is None else cover.confidence for cover in covers], np.float64
        ),
    }


def _range(chunk: Chunk, place: int) -> range:
    return range(*chunk.rows(place).indices(chunk.starts[-1]))


def _zero(info: ClassInfo) -> Cover:
    return Cover(info.index, info.id, info.name, info.color, 0, 0.0)


def _covers(record: ModelRecord) -> tuple[Cover, ...]:
    return record.summary.covers if isinstance(record.summary, CoverSummary) else ()


def _overlap(record: ModelRecord) -> bool:
    return isinstance(record.summary, CoverSummary) and record.summary.multi_label


def _text(covers: Iterable[Cover]) -> str:
    """List the covers for the log: all of a few classes, the largest of many."""
    listed = list(covers)
    rest = ""
    if len(listed) > MOST_NAMED:
        largest = sorted((c for c in listed if c.pixels), key=lambda c: -c.pixels)[:MOST_NAMED]
        rest = f", {len(listed) - len(largest)} more"
        listed = largest
    return ", ".join(f"{printable(c.name)} {100 * c.cover:.2f} %" for c in listed) + rest
