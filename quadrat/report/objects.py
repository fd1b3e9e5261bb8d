"""Products and rows of detection: annotated pictures, videos with their tracks, and tables of all objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from quadrat.media.encode import jpeg
from quadrat.parameters import ObjectSettings, PictureSettings, TileSettings, TrackingSettings
from quadrat.predictions import Detections
from quadrat.records import ModelRecord, SourceRecord
from quadrat.render.boxes import draw_boxes
from quadrat.render.object_masks import tint_objects
from quadrat.report import mot
from quadrat.report.aspects import detection_aspect, provenance_part, table_aspect, tracking_aspect
from quadrat.report.base import ClassValue, ModelFacts, finished, mime_of
from quadrat.report.columns import Chunk, Columns, ColumnWriter, FrameRow
from quadrat.report.counts import ClassCount, counts_text, video_text
from quadrat.report.detections import ObjectWriter
from quadrat.report.finer import ObjectsTable, add_names, detail_arrays, with_details
from quadrat.report.kept_classes import KeptClasses
from quadrat.report.names import Names
from quadrat.report.rows import DetectionRow, rows_of
from quadrat.report.spool import Spool
from quadrat.report.tracks import COLUMNS, TrackBook, TrackRow, track_lines
from quadrat.task_kinds import resolve
from quadrat.types import ClassInfo, Frame, ImageU8, Product, Result, Source, SourceClosed

WRITERS = {
    "detections.csv": "quadrat.report.detections:CsvWriter",
    "detections.jsonl": "quadrat.report.detections:JsonlWriter",
    "coco.json": "quadrat.report.coco:CocoWriter",
}
"""The tables of all objects of an order, by the name of their file."""
TRACKS = "tracks.csv"
OBJECTS = "objects.csv"
"""The table of all objects with what models about objects found in them, if there are any."""
PICTURE_PIXELS = 64_000_000
"""The most pixels of an annotated picture. That of a mosaic is smaller than the mosaic."""
PICTURE_SIDE = 60_000
"""The longest side of an annotated picture; the limit of JPEG is 65535."""


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """The objects of one source by class, and the tracks of a video; `tracked` is True if objects were tracked.

    `cells` are the names of the cells of models about these objects, by model.
    """

    found: tuple[ClassCount, ...]
    tracks: tuple[TrackRow, ...] = ()
    tracked: bool = False
    cells: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class ObjectCollector:
    """Collects the objects of one source."""

    def __init__(
        self,
        model: ModelFacts,
        source: Source,
        folder: Path,
        _objects: ObjectSettings,
        _tiles: TileSettings,
        tracking: TrackingSettings,
        pictures: PictureSettings,
        *_groups: object,
    ) -> None:
        self._model = model
        self._source = source
        self._folder = folder
        self._classes = KeptClasses(model)
        self._style = pictures
        self._drawn = not pictures.outputs or "annotated" in pictures.outputs
        self._tracked = tracking.tracker != "none"
        self._columns = ColumnWriter(folder / model.temporary_name(source.stem, ".columns"))
        self._book = TrackBook(last_class=bool(model.about))
        self._names: dict[str, dict[str, None]] = {}
        self._record = ModelRecord(model.name, model.task)

    def picture(self, result: Result) -> Iterator[Product]:
        """Yield the annotated picture of one image."""
        frame, detections = result.view(self._model.name), self._detections(result)
        self._book.add(frame, detections)
        found = self._book.found(self._classes.of)
        error = self._model.kind.part("fault")(detections, self._source.name)
        error = error or result.faults.get(self._model.name)
        name = ""
        if self._drawn:
            name = self._model.product_name(self._source.stem, ".annotated.jpg")
            infos = [one.info for one in found]
            tinted = tint_objects(_small(frame.pixels), detections, infos, frame.source_hw, self._style)
            picture = draw_boxes(tinted, detections, infos, frame.source_hw, labels=self._style.box_labels)
            size = picture.shape[0], picture.shape[1]
            metadata = detection_aspect(
                self._source, frame, detections, found, self._model.provenance, size=size, error=error
            )
            yield Product(name, "image/jpeg", jpeg(picture), metadata)
        self._columns.add(frame, self._arrays(frame, detections), len(detections))
        text = counts_text([(one.info.name, one.objects) for one in found])
        self._record = replace(
            self._record,
            measured=1,
            faults=() if error is None else (error,),
            size=(frame.pixels.shape[0], frame.pixels.shape[1]),
            product=name,
            summary=ObjectSummary(tuple(found), cells=self._cells()),
            text=f"{text}, and more than max-detections" if detections.capped else text,
        )

    def frame(self, result: Result) -> None:
        """Add the objects of one frame; a frame that was not measured has a reason instead."""
        frame = result.view(self._model.name)
        if result.frame.skipped or self._model.name not in result.predictions:
            self._columns.add(replace(frame, skipped=result.frame.skipped or "failed"), {}, 0)
            return
        detections = self._detections(result)
        self._book.add(frame, detections)
        self._columns.add(frame, self._arrays(frame, detections), len(detections))

    def closed(self, closed: SourceClosed) -> Iterator[Product]:
        """Yield the annotated video, if there is one, and its tracks in MOT format."""
        closing, columns = closed.closings[self._model.name], self._columns.finish()
        found = self._book.found(self._classes.of)
        stem = self._source.stem
        aspect = tracking_aspect(
            closed,
            closing,
            found,
            list(self._book.described(self._model.labelled(stem), self._classes.of)),
            self._model.provenance,
            tracks=len(self._book) if self._tracked else None,
        )
        name = main = self._model.product_name(stem, ".mot.txt")
        lines = Spool(self._folder / self._model.temporary_name(stem, ".mot"))
        for chunk, rows in _rows(columns):
            for place, frame in enumerate(chunk.frames):
                of_frame = self._named_by_track(rows[chunk.rows(place)])
                lines.write(mot.mot_lines(frame.index, of_frame, self._tracked, self._classes.kept))
        lines.flush()
        metadata = aspect
        if closing.video is not None:
            main = self._model.product_name(stem, closing.video.suffix)
            metadata = table_aspect("mot", mot.COLUMNS, self._model.provenance, lines.count)
            yield Product(main, mime_of(closing.video), closing.video, aspect)
        yield Product(name, "text/plain", lines.path, metadata)
        lines.delete()
        self._record = replace(
            self._record,
            measured=closing.measured,
            skipped=closing.skipped,
            faults=closing.faults,
            product=main,
            summary=ObjectSummary(tuple(found), self._book.rows(), self._tracked, self._cells()),
            text=video_text(found),
        )

    def record(self) -> ModelRecord:
        """Return the objects of the source; an image that was not measured is one skipped frame."""
        return replace(self._record, columns=self._columns.finish())

    def _arrays(self, frame: Frame, detections: Detections) -> dict[str, Any]:
        """Turn the objects of a frame into columns, with what models about objects found in them."""
        finer = detail_arrays(self._model.details, detections, frame.source_hw)
        if finer:
            add_names(self._names, finer)
        return {**_arrays(detections), **finer}

    def _cells(self) -> dict[str, tuple[str, ...]]:
        return {model: tuple(names) for model, names in self._names.items()}

    def _named_by_track(self, rows: Sequence[DetectionRow]) -> Sequence[DetectionRow]:
        """Give finer classes, which are means over the track so far, as those of whole tracks: evaluators need one class."""
        if not self._model.about:
            return rows
        return [replace(row, index=self._book.class_of(row.track, row.index)) for row in rows]

    def _detections(self, result: Result) -> Detections:
        prediction = result.predictions[self._model.name]
        if not isinstance(prediction, Detections):
            raise TypeError(f"the model {self._model.name} gave {type(prediction).__name__}, not objects")
        return prediction


class ObjectTables:
    """Folds objects into detections.csv, detections.jsonl, coco.json and tracks.csv, and counts them."""

    measure = "count"

    def __init__(
        self,
        model: ModelFacts,
        names: Names,
        folder: Path,
        _objects: ObjectSettings,
        _tiles: TileSettings,
        tracking: TrackingSettings,
        *_groups: object,
    ) -> None:
        self._model = model
        self._classes = KeptClasses(model)
        self._tracked = tracking.tracker != "none"
        self._names = {table: model.table_name(names, table) for table in (*WRITERS, TRACKS, OBJECTS)}
        files = {table: folder / f"table-{name}" for table, name in self._names.items()}
        self._writers: dict[str, ObjectWriter] = {
            table: resolve(writer)(files[table], self._classes.of) for table, writer in WRITERS.items()
        }
        self._finer: ObjectsTable | None = None
        self._cells: dict[str, dict[str, None]] = {}
        self._file = folder / f"table-{self._names[OBJECTS]}"
        self._tracks = Spool(files[TRACKS])
        self._tracks.write(",".join(COLUMNS) + "\r\n")
        self._has_videos = False
        self._counts: dict[int, ClassCount] = {}

    def learn(self, record: ModelRecord) -> None:
        """Take note of the classes in a record."""
        for one in _found(record):
            self._classes.of(one.info.index)
        if isinstance(record.summary, ObjectSummary):
            for model, names in record.summary.cells.items():
                self._cells.setdefault(model, {}).update(dict.fromkeys(names))

    def classes(self) -> list[ClassInfo]:
        """List the classes of the archive and those that were found."""
        return sorted(self._classes.listed(), key=lambda info: info.index)

    def values(self, record: ModelRecord) -> list[ClassValue]:
        """Return the number of objects of every class; nothing if the image was not measured."""
        return [ClassValue(one.info, one.objects) for one in self._complete(record)]

    def frames(self, record: ModelRecord) -> Iterator[tuple[FrameRow, list[ClassValue]]]:
        """Yield each frame of a source with the number of objects of every class; nothing for one not measured."""
        classes = self.classes()
        for chunk in record.columns if isinstance(record.columns, Columns) else ():
            for place, frame in enumerate(chunk.frames):
                counts: dict[int, int] = {}
                for index in chunk.columns["classes"][chunk.rows(place)].tolist() if chunk.columns else ():
                    counts[index] = counts.get(index, 0) + 1
                every = [] if frame.skipped else classes
                yield frame, [ClassValue(info, counts.get(info.index, 0)) for info in every]

    def _complete(self, record: ModelRecord) -> list[ClassCount]:
        """Return the count of every class of the order; without a measured frame, a zero would be wrong."""
        if not record.measured:
            return list(_found(record))
        found = {one.info.index: one for one in _found(record)}
        tracks = 0 if isinstance(record.summary, ObjectSummary) and record.summary.tracked else None
        return [found.get(info.index) or ClassCount(info, 0, 0.0, tracks) for info in self.classes()]

    def cells(self, record: ModelRecord) -> list[dict[str, Any]]:
        """Return one row for each class, or one without a class if none is known."""
        rows = [
            {
                "class_id": one.info.id,
                "class": one.info.name,
                "objects": one.objects,
                "tracks": "" if one.tracks is None else one.tracks,
                "mean_score": f"{one.mean_score:.4f}" if one.objects else "",
                "max_at_once": one.most,
                "max_at_once_s": "" if one.most_s is None else f"{one.most_s:.6f}",
            }
            for one in self._complete(record)
        ]
        if not rows and record.measured:  # without a measured frame, a zero would be wrong
            rows.append({"objects": 0, "max_at_once": 0})
        return rows

    def count(self, record: ModelRecord) -> None:
        """Add the objects of a source."""
        for one in _found(record):
            old = self._counts.get(one.info.index)
            self._counts[one.info.index] = one if old is None else old.plus(one)

    def add(self, source: SourceRecord, record: ModelRecord) -> None:
        """Write the objects of a source."""
        if not isinstance(record.columns, Columns):
            return
        finer = self._with_finer()
        for writer in self._writers.values():
            writer.begin(source.source)
        for chunk, rows in _rows(record.columns):
            for place, frame in enumerate(chunk.frames):
                for writer in self._writers.values():
                    writer.frame(source.source, frame, rows[chunk.rows(place)])
                if finer is not None:
                    finer.frame(source.source, frame, rows[chunk.rows(place)])
        if source.source.media != "image":
            self._has_videos = True
            tracks = record.summary.tracks if isinstance(record.summary, ObjectSummary) else ()
            stem = self._model.labelled(source.source.stem)
            self._tracks.extend(track_lines(source.source, stem, record.product, tracks, self._classes.of))

    def _with_finer(self) -> ObjectsTable | None:
        """Return objects.csv, which begins once all its columns are known; None without models about objects."""
        if self._finer is None and self._model.details:
            self._finer = ObjectsTable(self._file, self._model.details, self._cells, self._classes.of)
        return self._finer

    def totals(self) -> dict[str, Any]:
        """Return the numbers of objects and tracks of each class over the whole order."""
        objects = [
            {
                "id": one.info.id,
                "name": one.info.name,
                "objects": one.objects,
                "tracks": one.tracks,
                "max-at-once": one.most,
                "mean-score": round(one.mean_score, 4),
            }
            for _, one in sorted(self._counts.items())
        ]
        return {"objects": objects}

    def products(self) -> Iterator[Product]:
        """Yield detections.csv, detections.jsonl and coco.json, objects.csv of a cascade, and tracks.csv of videos."""
        every = [*(self._written(table) for table in self._writers), self._detailed(), self._followed()]
        yield from finished(every)

    def _detailed(self) -> Iterator[Product]:
        """Yield objects.csv, if there are models about objects."""
        table = self._with_finer()
        if table is not None:
            path = table.finish()
            metadata = table_aspect(table.kind, table.columns, self._model.provenance, table.rows)
            yield Product(self._names[OBJECTS], "text/csv", path, metadata)

    def _written(self, table: str) -> Iterator[Product]:
        """Yield the table of one writer."""
        writer = self._writers[table]
        info = {"description": "Objects found by quadrat", **provenance_part(self._model.provenance)}
        path = writer.finish(self._classes.listed(), info)
        metadata = table_aspect(writer.kind, writer.columns, self._model.provenance, writer.rows)
        yield Product(self._names[table], writer.mime, path, metadata)

    def _followed(self) -> Iterator[Product]:
        """Yield tracks.csv, if objects were tracked."""
        if self._has_videos and self._tracked:
            self._tracks.flush()
            metadata = table_aspect("tracks", COLUMNS, self._model.provenance, self._tracks.count - 1)
            yield Product(self._names[TRACKS], "text/csv", self._tracks.path, metadata)


def _arrays(detections: Detections) -> dict[str, Any]:
    """Turn detections into columns."""
    tracks = detections.tracks
    return {
        "boxes": detections.boxes,
        "scores": detections.scores,
        "classes": detections.classes,
        "tracks": np.full(len(detections), -1, np.int32) if tracks is None else tracks,
    }


def _rows(columns: Columns) -> Iterator[tuple[Chunk, list[DetectionRow]]]:
    """Yield each chunk with its objects as text."""
    for chunk in columns:
        own = chunk.columns
        rows = rows_of(Detections(own["boxes"], own["scores"], own["classes"], own["tracks"])) if own else []
        yield chunk, with_details(rows, own)


def _found(record: ModelRecord) -> tuple[ClassCount, ...]:
    return record.summary.found if isinstance(record.summary, ObjectSummary) else ()


def _small(pixels: ImageU8) -> ImageU8:
    """Shrink a picture that is too large for a JPEG or for memory."""
    height, width = pixels.shape[:2]
    scale = min(1.0, (PICTURE_PIXELS / (height * width)) ** 0.5, PICTURE_SIDE / max(height, width))
    if scale == 1.0:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small  # type: ignore[no-any-return]
