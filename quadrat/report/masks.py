"""Products and rows of segmentation: pictures and covers of images, covers of videos frame by frame."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from quadrat.parameters import Settings
from quadrat.render.pictures import draw_pictures
from quadrat.report.aspects import (
    covered_aspect,
    inference_aspect,
    picture_aspect,
    table_aspect,
)
from quadrat.report.base import Sources, mime_of
from quadrat.report.cover import mean_confidence, measure
from quadrat.report.names import Names
from quadrat.report.spool import Spool, joined
from quadrat.report.survey import Survey, csv_cell
from quadrat.stores.addresses import shown
from quadrat.types import Cover, Ended, ModelPackage, Product, Provenance, Result, Segmentation, Source

COLUMNS = (
    "source", "name", "frame", "time_s", "class_id", "class", "cover", "pixels", "mean_confidence",
)  # fmt: skip
HEAD = ",".join(COLUMNS) + "\r\n"


@dataclass(slots=True)
class _Video:
    """A video under way: its rows, and per class the sums over frames (`weight` is confidence x pixels)."""

    source: Source
    stem: str
    spool: Spool
    covers: dict[int, Cover] = field(default_factory=dict)
    weights: dict[int, float] = field(default_factory=dict)
    pixels: int = 0
    rows: int = 0
    measured: int = 0


class MaskReport:
    """The report of the task "segment"."""

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
        self._package, self._provenance = package, provenance
        self._kinds = settings.pictures.outputs or ("pseudo",)
        self._floor = settings.masks.min_confidence
        self._names, self._survey, self._folder = names, survey, folder / "report"
        self._folder.mkdir()
        self._table = ""
        self._videos: Sources[_Video] = Sources(self._open)
        self._parts: list[tuple[str, str, Spool]] = []
        self._rows = 0
        self._last: tuple[Result, list[Cover]] | None = None
        self._sums: dict[str, str] = {}

    def begin(self, source: Source) -> None:
        """Take the names of a video's products."""
        self._videos.of(source)

    def image(self, result: Result) -> Iterator[Product]:
        """Yield all pictures of one image, then write its rows."""
        if result.frame.skipped:
            self._survey.add_skipped(result.source, result.frame)
            return
        segmentation = _mask(result)
        covers = self._covers(result)
        size = segmentation.labels.shape[0], segmentation.labels.shape[1]
        aspect = inference_aspect(
            result.source,
            result.frame,
            covers,
            self._provenance,
            size=size,
            confidence=mean_confidence(segmentation),
            min_confidence=self._floor,
        )
        stem = self._names.stem(result.source.name)
        first = ""
        for picture in draw_pictures(result.frame, segmentation, covers, self._kinds):
            metadata = aspect if picture.kind == "pseudo" else picture_aspect(picture.kind, aspect)
            name = f"{stem}.{picture.kind}{picture.suffix}"
            yield Product(name, picture.mime, picture.body, metadata)
            first = first or name
        self._survey.add_result(result.source, result.frame, covers, size, first)

    def frame(self, result: Result) -> None:
        """Write the covers of one frame; a skipped one has none."""
        video = self._videos.of(result.source)
        if result.frame.skipped:
            return
        time_s = "" if result.frame.time_s is None else f"{result.frame.time_s:.6f}"
        head = _head(result.source) + f"{result.frame.key.index},{time_s}"
        for cover in self._covers(result):
            confidence = "" if cover.confidence is None else f"{cover.confidence:.4f}"
            named = f"{csv_cell(cover.id)},{csv_cell(cover.name)}"
            video.spool.write(f"{head},{named},{cover.cover:.6f},{cover.pixels},{confidence}\r\n")
            video.rows += 1
            old = video.covers.get(cover.index, replace(cover, pixels=0))
            video.covers[cover.index] = replace(old, pixels=old.pixels + cover.pixels)
            if cover.confidence is not None:
                weight = video.weights.get(cover.index, 0.0)
                video.weights[cover.index] = weight + cover.confidence * cover.pixels
        video.pixels += _mask(result).labels.size
        video.measured += 1

    def ended(self, ended: Ended) -> Iterator[Product]:
        """Yield a video's drawn form, where there is one, and its table; then write its rows."""
        video = self._videos.take(ended.source)
        covers = _means(video)
        mean = sum(video.weights.values()) / video.pixels if video.weights and video.pixels else None
        aspect = covered_aspect(
            ended,
            covers,
            self._provenance,
            measured=video.measured,
            confidence=mean,
            min_confidence=self._floor,
        )
        table = table_aspect("cover", COLUMNS, self._provenance, video.rows)
        name = f"{video.stem}.cover.csv"
        if ended.video is not None:
            name = f"{video.stem}{ended.video.suffix}"
            yield Product(name, mime_of(ended.video), ended.video, aspect)
        body = joined(video.spool.path.with_suffix(".csv"), HEAD, [video.spool])
        metadata = aspect if ended.video is None else table
        yield Product(f"{video.stem}.cover.csv", "text/csv", body, metadata)
        body.unlink(missing_ok=True)
        self._parts.append((ended.source.name, ended.source.urn, video.spool))
        self._rows += video.rows
        self._sums[ended.source.urn] = _text(covers)
        self._survey.add_covers(ended, covers, name, video.measured)

    def tables(self) -> Iterator[Product]:
        """Yield cover.csv, the covers of all frames of all videos; nothing where there was no video."""
        if not self._parts:
            return
        parts = [spool for _, _, spool in sorted(self._parts, key=lambda part: part[:2])]
        body = joined(self._folder / "cover.csv", HEAD, parts)
        metadata = table_aspect("cover", COLUMNS, self._provenance, self._rows)
        yield Product(self._table, "text/csv", body, metadata)

    def said(self, result: Result) -> str:
        """Say the cover of each class."""
        return f"skipped, {result.frame.skipped}" if result.frame.skipped else _text(self._covers(result))

    def summed(self, ended: Ended) -> str:
        """Say the mean cover of each class over a video."""
        return self._sums.pop(ended.source.urn, "") or "no frame was measured"

    def close(self) -> None:
        """Delete the files under way."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self, source: Source, number: int) -> _Video:
        self._table = self._table or self._names.whole("cover.csv")
        stem = self._names.video(source)
        return _Video(source, stem, Spool(self._folder / f"{number}.rows"))

    def _covers(self, result: Result) -> list[Cover]:
        """Count a result once, though several ask."""
        if self._last is None or self._last[0] is not result:
            self._last = (result, measure(self._package, _mask(result), self._floor))
        return self._last[1]


def _mask(result: Result) -> Segmentation:
    prediction = result.predictions["segment"]
    if not isinstance(prediction, Segmentation):
        raise TypeError(f"the task segment gave {type(prediction).__name__}")
    return prediction


def _means(video: _Video) -> list[Cover]:
    """Turn the sums over a video's frames into covers; every frame is of one size, so the mean is plain."""
    means = []
    for index, total in sorted(video.covers.items()):
        weight = video.weights.get(index) if total.pixels else None
        confidence = None if weight is None else weight / total.pixels
        means.append(replace(total, cover=total.pixels / max(video.pixels, 1), confidence=confidence))
    return means


def _head(source: Source) -> str:
    return "".join(csv_cell(shown(text, source)) + "," for text in (source.urn, source.name))


def _text(covers: list[Cover]) -> str:
    return ", ".join(f"{c.name} {100 * c.cover:.2f} %" for c in covers)
