"""Products and rows of detection: annotated pictures, videos with their tracks, and tables of all objects."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from quadrat.errors import TooManyObjectsError
from quadrat.media.encode import jpeg
from quadrat.package.classes import OBJECT_URN, class_of
from quadrat.parameters import Settings
from quadrat.render.boxes import draw_boxes
from quadrat.report import mot
from quadrat.report.aspects import (
    detection_aspect,
    provenance_part,
    table_aspect,
    tracking_aspect,
)
from quadrat.report.base import Sources, mime_of
from quadrat.report.detections import COCO, CSV, JSONL, DetectionPart, write_tables
from quadrat.report.names import Names
from quadrat.report.rows import rows_of
from quadrat.report.spool import Spool, joined
from quadrat.report.survey import Found, Survey
from quadrat.report.tracks import COLUMNS, TrackBook
from quadrat.types import (
    ClassInfo,
    Detections,
    Ended,
    ImageU8,
    ModelPackage,
    Product,
    Provenance,
    Result,
    Source,
)

PICTURE_PIXELS = 64_000_000
"""An annotated picture has at most so many pixels: that of a mosaic is smaller than the mosaic."""
PICTURE_SIDE = 60_000
"""JPEG ends at 65535."""


@dataclass(slots=True)
class _Video:
    """A video under way."""

    source: Source
    stem: str
    part: DetectionPart
    mot: Spool
    book: TrackBook = field(default_factory=TrackBook)
    mot_rows: int = 0
    measured: int = 0


@dataclass(frozen=True, slots=True)
class _Done:
    """A video at its end: its rows of detections and of `count` tracks, both in files."""

    source: Source
    part: DetectionPart
    tracks: Spool
    count: int


class ObjectReport:
    """The report of the task "detect"."""

    def __init__(
        self,
        package: ModelPackage,
        settings: Settings,
        provenance: Provenance,
        *,
        names: Names,
        survey: Survey,
        folder: Path,
    ) -> None:
        self._classes = {info.index: info for info in package.classes}
        self._drawn = settings.pictures.outputs != ("none",)
        self._tracked = settings.tracking.tracker != "none"
        self._provenance = provenance
        self._names, self._survey, self._folder = names, survey, folder / "report"
        self._folder.mkdir()
        self._tables = [names.whole(name) for name in ("detections.csv", "detections.jsonl", "coco.json")]
        self._photos: DetectionPart | None = None
        self._videos: Sources[_Video] = Sources(self._open)
        self._done: list[_Done] = []
        self._track_table = ""
        self._sums: dict[str, str] = {}

    def begin(self, source: Source) -> None:
        """Take the names of a video's products."""
        self._videos.of(source)

    def image(self, result: Result) -> Iterator[Product]:
        """Yield the annotated picture, then write the rows."""
        source, frame = result.source, result.frame
        if self._photos is None:
            self._photos = DetectionPart(self._folder / "photos", self._class_of)
        if frame.skipped:
            self._photos.add(source, frame, [])
            self._survey.add_skipped(source, frame)
            return
        detections = _detections(result)
        book = TrackBook()
        book.add(frame, detections)
        found = book.found(self._class_of)
        error = TooManyObjectsError.capped(len(detections), source.name) if detections.capped else None
        name = ""
        if self._drawn:
            name = f"{self._names.stem(source.name)}.annotated.jpg"
            picture = draw_boxes(_small(frame.pixels), detections, [f.info for f in found], frame.source_hw)
            size = picture.shape[0], picture.shape[1]
            metadata = detection_aspect(
                source, frame, detections, found, self._provenance, size=size, error=error
            )
            yield Product(name, "image/jpeg", jpeg(picture), metadata)
        self._photos.add(source, frame, rows_of(detections))
        self._survey.add_objects(source, frame, found, name, error)

    def frame(self, result: Result) -> None:
        """Write the objects of one frame; a skipped one has none, and is written with its reason."""
        video, frame = self._videos.of(result.source), result.frame
        if frame.skipped:
            video.part.add(result.source, frame, [])
            return
        detections = _detections(result)
        rows = rows_of(detections)
        video.measured += 1
        video.book.add(frame, detections)
        video.part.add(result.source, frame, rows)
        text = mot.mot_lines(frame.key.index, rows, self._tracked)
        video.mot_rows += text.count("\n")
        video.mot.write(text)

    def ended(self, ended: Ended) -> Iterator[Product]:
        """Yield a video's annotated form, where there is one, and its tracks; then write its rows."""
        video = self._videos.take(ended.source)
        found = video.book.found(self._class_of)
        aspect = tracking_aspect(
            ended,
            found,
            list(video.book.described(video.stem, self._class_of)),
            self._provenance,
            measured=video.measured,
            tracks=len(video.book) if self._tracked else None,
        )
        name = main = f"{video.stem}.mot.txt"
        metadata = aspect
        if ended.video is not None:
            main = f"{video.stem}{ended.video.suffix}"
            metadata = table_aspect("mot", mot.COLUMNS, self._provenance, video.mot_rows)
            yield Product(main, mime_of(ended.video), ended.video, aspect)
        video.mot.flush()
        yield Product(name, "text/plain", video.mot.path, metadata)
        video.mot.delete()
        tracks = Spool(video.mot.path.with_suffix(".tracks"))
        for line in video.book.lines(ended.source, video.stem, main, self._class_of):
            tracks.write(line)
        tracks.flush()
        self._done.append(_Done(ended.source, video.part, tracks, len(video.book)))
        self._sums[ended.source.urn] = _summary(found)
        self._survey.add_tracked(ended, found, main, video.measured)

    def tables(self) -> Iterator[Product]:
        """Yield detections.csv, detections.jsonl and coco.json, and tracks.csv where objects were followed."""
        photos = [] if self._photos is None else [(None, self._photos)]
        done = sorted(self._done, key=lambda one: (one.source.name, one.source.urn))
        parts = [*photos, *((one.source, one.part) for one in done)]
        info = {"description": "Objects found by quadrat", **provenance_part(self._provenance)}
        paths = write_tables(self._folder, parts, list(self._classes.values()), info)
        rows, frames = sum(p.rows for _, p in parts), sum(p.frames for _, p in parts)
        kinds = (
            ("detections", "text/csv", CSV, rows),
            ("frames", "application/x-ndjson", JSONL, frames),
            ("coco", "application/json", COCO, rows),
        )
        for name, path, (kind, mime, columns, count) in zip(self._tables, paths, kinds, strict=True):
            yield Product(name, mime, path, table_aspect(kind, columns, self._provenance, count))
        if done and self._tracked:
            path = joined(
                self._folder / "all.tracks", ",".join(COLUMNS) + "\r\n", [one.tracks for one in done]
            )
            metadata = table_aspect("tracks", COLUMNS, self._provenance, sum(one.count for one in done))
            yield Product(self._track_table, "text/csv", path, metadata)

    def said(self, result: Result) -> str:
        """Say how many objects of each class one picture shows."""
        if result.frame.skipped:
            return f"skipped, {result.frame.skipped}"
        book = TrackBook()
        book.add(result.frame, _detections(result))
        text = _text([(one.info.name, one.objects) for one in book.found(self._class_of)])
        return f"{text}, and more than max-detections" if _detections(result).capped else text

    def summed(self, ended: Ended) -> str:
        """Say how many of each class a source showed at once, and how many tracks."""
        return self._sums.pop(ended.source.urn, "nothing found")

    def close(self) -> None:
        """Delete the files under way."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self, source: Source, number: int) -> _Video:
        if self._tracked and not self._track_table:
            self._track_table = self._names.whole("tracks.csv")
        stem = self._folder / str(number)
        part = DetectionPart(stem, self._class_of)
        return _Video(source, self._names.video(source), part, Spool(stem.with_suffix(".mot")))

    def _class_of(self, index: int) -> ClassInfo:
        """Give a class, and know it from now on if the archive does not list it."""
        return self._classes.setdefault(index, class_of(self._classes, index, OBJECT_URN))


def _detections(result: Result) -> Detections:
    prediction = result.predictions["detect"]
    if not isinstance(prediction, Detections):
        raise TypeError(f"the task detect gave {type(prediction).__name__}")
    return prediction


def _small(pixels: ImageU8) -> ImageU8:
    """Shrink a picture that no JPEG, or no memory, could hold."""
    height, width = pixels.shape[:2]
    scale = min(1.0, (PICTURE_PIXELS / (height * width)) ** 0.5, PICTURE_SIDE / max(height, width))
    if scale == 1.0:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small  # type: ignore[no-any-return]


def _summary(found: Sequence[Found]) -> str:
    """Say how many of each class were seen at once, and then, where objects are followed, the tracks.

    Tracks alone would hide what was seen: of frames far apart few objects, or none, are followed.
    """
    if not found:
        return "nothing found"
    seen = f"at most {_text([(one.info.name, one.most) for one in found])} at once"
    if all(one.tracks is None for one in found):
        return seen
    tracks = [(one.info.name, one.tracks) for one in found if one.tracks]
    count = sum(number for _, number in tracks)
    if not count:
        return f"{seen}; no tracks"
    return f"{seen}; {count} track{'' if count == 1 else 's'}: {_text(tracks)}"


def _text(counts: Sequence[tuple[str, int]]) -> str:
    ordered = sorted(counts, key=lambda pair: -pair[1])
    return ", ".join(f"{count} {name}" for name, count in ordered) or "nothing found"
