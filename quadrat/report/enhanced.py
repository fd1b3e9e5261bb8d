"""Products of enhancement: a picture for each image, a video for each video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from quadrat.media.encode import rgb_png
from quadrat.parameters import PictureSettings, TileSettings
from quadrat.predictions import Enhanced
from quadrat.records import ModelRecord, SourceRecord
from quadrat.report.aspects import enhanced_aspect, enhanced_video_aspect
from quadrat.report.base import ClassValue, ModelFacts, mime_of
from quadrat.types import ClassInfo, Product, Result, Source, SourceClosed


class EnhancedCollector:
    """Collects the enhanced picture or video of one source."""

    def __init__(
        self,
        model: ModelFacts,
        source: Source,
        _folder: Path,
        _tiles: TileSettings,
        pictures: PictureSettings,
    ) -> None:
        self._model = model
        self._source = source
        self._wanted = pictures.outputs != ("none",)
        self._record = ModelRecord(model.name, model.task)

    def picture(self, result: Result) -> Iterator[Product]:
        """Yield the enhanced picture of an image."""
        pixels = self._enhanced(result).pixels
        size = pixels.shape[0], pixels.shape[1]
        name = ""
        if self._wanted:
            name = self._model.product_name(self._source.stem, ".enhanced.png")
            aspect = enhanced_aspect(self._source, result.frame, self._model.provenance, size=size)
            yield Product(name, "image/png", rgb_png(pixels), aspect)
        self._record = replace(
            self._record, measured=1, size=size, product=name, text=f"{size[1]} x {size[0]} pixels"
        )

    def frame(self, result: Result) -> None:
        """Take one frame of a video; its picture goes into the video."""

    def closed(self, closed: SourceClosed) -> Iterator[Product]:
        """Yield the enhanced video, if there is one."""
        closing = closed.closings[self._model.name]
        name = ""
        if closing.video is not None:
            name = self._model.product_name(self._source.stem, closing.video.suffix)
            aspect = enhanced_video_aspect(closed, closing, self._model.provenance)
            yield Product(name, mime_of(closing.video), closing.video, aspect)
        self._record = replace(
            self._record, measured=closing.measured, skipped=closing.skipped, faults=closing.faults,
            product=name, text=f"{closing.measured} frames",
        )  # fmt: skip

    def record(self) -> ModelRecord:
        """Return what was enhanced."""
        return self._record

    def _enhanced(self, result: Result) -> Enhanced:
        prediction = result.predictions[self._model.name]
        if not isinstance(prediction, Enhanced):
            raise TypeError(f"the task {self._model.task} gave {type(prediction).__name__}, not a picture")
        return prediction


class EnhancedTables:
    """Folds the records of enhancement: it has no classes, and so no values of classes."""

    measure = "value"

    def __init__(self, model: ModelFacts, *_others: object) -> None:
        self._model = model
        self._pictures = 0

    def learn(self, record: ModelRecord) -> None:
        """Do nothing: there are no classes."""

    def classes(self) -> list[ClassInfo]:
        """Return no classes."""
        return []

    def values(self, _record: ModelRecord) -> list[ClassValue]:
        """Return no values."""
        return []

    def cells(self, _record: ModelRecord) -> list[dict[str, Any]]:
        """Return no cells of its own: the row of a source says which file it gave."""
        return []

    def count(self, record: ModelRecord) -> None:
        """Count the sources that gave a picture or video."""
        self._pictures += bool(record.product)

    def totals(self) -> dict[str, Any]:
        """Return the number of enhanced pictures and videos."""
        return {"enhanced": self._pictures}

    def add(self, source: SourceRecord, record: ModelRecord) -> None:
        """Do nothing."""

    def products(self) -> Iterator[Product]:
        """Yield nothing."""
        yield from ()
