"""Products of enhancement: a picture for each image, a video for each video, and descriptors before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from quadrat.geometry import HW
from quadrat.media.scale import scaled
from quadrat.media.scratch import large
from quadrat.media.size import working_hw
from quadrat.parameters import PictureSettings, TileSettings
from quadrat.predictions import Enhanced
from quadrat.records import ModelRecord, SourceRecord
from quadrat.render.enhanced import draw_enhanced
from quadrat.report.aspects import enhanced_aspect, enhanced_video_aspect, table_aspect
from quadrat.report.base import ClassValue, ModelFacts, mime_of
from quadrat.report.names import Names
from quadrat.report.sample import Sample
from quadrat.report.sheet import MOST_ROWS, Pair, pair_of
from quadrat.report.spool import Spool
from quadrat.report.survey import csv_line
from quadrat.steps.descriptors import Descriptors, describe
from quadrat.stores.addresses import shown
from quadrat.types import ClassInfo, ImageU8, Product, Result, Source, SourceClosed

DESCRIBED_EVERY = 25
"""Of a video, every 25th measured frame is described: describing all would take longer than enhancing them."""
DESCRIBED_PIXELS = 16_000_000
"""A mosaic is shrunk to this many pixels before it is described."""
VALUES = ("uciqe", "uiqm", "sharpness", "noise", "red", "green", "blue")
COLUMNS = (
    "source", "name", "product", "width", "height", "source_width", "source_height", "frames", "described", "lost",
    *(f"{name}_{when}" for name in VALUES for when in ("before", "after")),
)  # fmt: skip
_DIGITS = {"red": 1, "green": 1, "blue": 1, "noise": 2}


@dataclass(frozen=True, slots=True)
class EnhancedSummary:
    """What is known of one enhanced source: means of VALUES over the `described` pictures `before` and `after`.

    `source_hw` is its (height, width); `lost` is what its file has and the enhanced one lacks; `pair` are thumbnails,
    if the source may be in the sheet.
    """

    source_hw: tuple[int, int]
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()
    described: int = 0
    lost: tuple[str, ...] = ()
    pair: Pair | None = None


class EnhancedCollector:
    """Collects the enhanced picture or video of one source."""

    def __init__(
        self, model: ModelFacts, source: Source, folder: Path, _tiles: TileSettings, pictures: PictureSettings
    ) -> None:
        self._model = model
        self._source = source
        self._wanted = pictures.outputs != ("none",)
        self._sample = sample_of(model, folder)
        self._described = 0
        self._sums = [0.0] * len(VALUES), [0.0] * len(VALUES)
        self._measured = 0
        self._size = (0, 0)
        self._pair: Pair | None = None
        self._record = ModelRecord(model.name, model.task)

    def picture(self, result: Result) -> Iterator[Product]:
        """Yield the enhanced picture of an image."""
        self._add(result)
        frame, pixels = result.frame, self._enhanced(result).pixels
        summary = self._summary(frame.source_hw)
        name, text = "", f"{self._size[1]} x {self._size[0]} pixels"
        if self._wanted:
            for picture in draw_enhanced(frame, pixels):
                summary = replace(summary, lost=picture.lost)
                name = self._model.product_name(self._source.stem, f".enhanced{picture.suffix}")
                aspect = enhanced_aspect(
                    self._source, frame, self._model.provenance, size=self._size, lost=picture.lost
                )
                yield Product(name, picture.mime, picture.body, aspect | {"descriptors": as_values(summary)})
                text += f", without {' and '.join(picture.lost)}" if picture.lost else ""
        self._record = replace(
            self._record, measured=1, size=self._size, product=name, summary=summary, text=text
        )

    def frame(self, result: Result) -> None:
        """Take one frame of a video; its picture goes into the video."""
        if not result.frame.skipped and self._model.name in result.predictions:
            self._add(result)

    def closed(self, closed: SourceClosed) -> Iterator[Product]:
        """Yield the enhanced video, if there is one."""
        closing = closed.closings[self._model.name]
        summary, name = self._summary(closed.reading.hw), ""
        if closing.video is not None:
            name = self._model.product_name(self._source.stem, closing.video.suffix)
            aspect = enhanced_video_aspect(closed, closing, self._model.provenance)
            yield Product(
                name, mime_of(closing.video), closing.video, aspect | {"descriptors": as_values(summary)}
            )
        self._record = replace(
            self._record, measured=closing.measured, skipped=closing.skipped, faults=closing.faults,
            product=name, summary=summary, size=self._size, text="enhanced",
        )  # fmt: skip

    def record(self) -> ModelRecord:
        """Return what was enhanced."""
        return self._record

    def _add(self, result: Result) -> None:
        """Describe a picture before and after, and keep its thumbnails if it is the first one and chosen."""
        before, after = result.frame.pixels, self._enhanced(result).pixels
        self._size = after.shape[0], after.shape[1]
        if self._measured % DESCRIBED_EVERY == 0:
            self._described += 1
            for sums, pixels in zip(self._sums, (before, after), strict=True):
                for place, value in enumerate(_values(describe(_shrunk(pixels)))):
                    sums[place] += value
        if not self._measured and self._sample.accepts(self._source.stem):
            self._pair = pair_of(before, after)
        self._measured += 1

    def _summary(self, source_hw: tuple[int, int]) -> EnhancedSummary:
        count = self._described
        before, after = ([value / count for value in each] for each in self._sums) if count else ((), ())
        return EnhancedSummary(source_hw, tuple(before), tuple(after), count, pair=self._pair)

    def _enhanced(self, result: Result) -> Enhanced:
        prediction = result.predictions[self._model.name]
        if not isinstance(prediction, Enhanced):
            raise TypeError(f"the task {self._model.task} gave {type(prediction).__name__}, not a picture")
        return prediction


class EnhancedTables:
    """Folds the records of enhancement into enhanced.csv. There are no classes, and so no values of classes."""

    measure = "value"

    def __init__(self, model: ModelFacts, names: Names, folder: Path, *_groups: object) -> None:
        self._model = model
        self._name = model.table_name(names, "enhanced.csv")
        self._rows = Spool(folder / f"{self._name}.rows")
        self._rows.write(csv_line(COLUMNS))
        self._delivered = 0
        sample_of(model, folder).forget()

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
        self._delivered += bool(record.product)

    def totals(self) -> dict[str, Any]:
        """Return the number of enhanced pictures and videos."""
        return {"enhanced": self._delivered}

    def add(self, source: SourceRecord, record: ModelRecord) -> None:
        """Write the row of one source; a source that was not enhanced has none."""
        summary = record.summary
        if not isinstance(summary, EnhancedSummary) or not record.measured:
            return
        names = (shown(text, source.source) for text in (source.source.urn, source.source.name))
        described = as_values(summary)
        cells = (
            [described[name][when] for name in VALUES for when in ("before", "after")] if described else []
        )
        self._rows.write(
            csv_line([
                *names, record.product, record.size[1], record.size[0], summary.source_hw[1], summary.source_hw[0],
                record.measured, summary.described, " and ".join(summary.lost), *cells,
            ])
        )  # fmt: skip

    def products(self) -> Iterator[Product]:
        """Yield enhanced.csv."""
        self._rows.flush()
        metadata = table_aspect("enhanced", COLUMNS, self._model.provenance, self._rows.count - 1)
        yield Product(self._name, "text/csv", self._rows.path, metadata)


def _shrunk(pixels: ImageU8) -> ImageU8:
    """Shrink a picture that is kept on disk, because its descriptors need several copies of it in memory."""
    hw: HW = (pixels.shape[0], pixels.shape[1])
    return scaled(pixels, working_hw(hw, DESCRIBED_PIXELS)) if large(hw) else pixels


def sample_of(model: ModelFacts, folder: Path) -> Sample:
    """Return the choice of sources for the sheet, for one model."""
    return Sample(folder / f"{model.label or 'enhanced'}.sample", MOST_ROWS)


def as_values(summary: EnhancedSummary) -> dict[str, dict[str, float]]:
    """Return the descriptors before and after by name, rounded as in the table; empty if nothing was described."""
    pairs = zip(VALUES, summary.before, summary.after, strict=True) if summary.described else ()
    return {
        name: {"before": _rounded(name, before), "after": _rounded(name, after)}
        for name, before, after in pairs
    }


def _rounded(name: str, value: float) -> float:
    return round(value, _DIGITS.get(name, 4))


def _values(found: Descriptors) -> tuple[float, ...]:
    return (found.uciqe, found.uiqm, found.sharpness, found.noise, *found.mean_rgb)
