"""Predictions -> annotated videos: one stage draws, another encodes, a file for each source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quadrat.errors import DeliveryError, EncoderError, ImageSizeError, QuadratError
from quadrat.pipeline.events import both
from quadrat.types import (
    Begun,
    ClassInfo,
    Detections,
    Ended,
    Failure,
    ImageU8,
    Result,
    Segmentation,
    Source,
)

if TYPE_CHECKING:
    from quadrat.media.video_write import VideoWriter


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A result of a video and its picture (H, W, 3) uint8 RGB."""

    result: Result
    picture: ImageU8


class Artist:
    """The stage that draws what was found into the frames of videos; pictures are of the source's size."""

    def __init__(self, classes: Sequence[ClassInfo]) -> None:
        self._classes = classes

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield a Drawn for every frame of a video, and all else unchanged."""
        for item in items:
            moving = isinstance(item, Result) and item.frame.time_s is not None
            yield Drawn(item, self._at_source(item)) if moving else item

    def _at_source(self, result: Result) -> ImageU8:
        """Draw at the size that the frame was measured at, then enlarge: a third of the time of drawing large."""
        from quadrat.media.scale import scaled

        return scaled(self._draw(result), result.frame.source_hw)

    def _draw(self, result: Result) -> ImageU8:
        from quadrat.render.boxes import draw_boxes, draw_note
        from quadrat.render.overlay import tint

        frame = result.frame
        if frame.skipped:
            return draw_note(frame.pixels, f"not measured: {frame.skipped}")
        for found in result.predictions.values():
            if isinstance(found, Detections):
                return draw_boxes(frame.pixels, found, self._classes, frame.source_hw)
            if isinstance(found, Segmentation):
                return tint(frame.pixels, found.labels, self._classes)
        return frame.pixels


class Film:
    """The stage that encodes; videos that are not at their end when it stops are finished all the same."""

    def __init__(self, folder: Path, codec: str) -> None:
        self._folder = folder
        self._codec = codec
        self._rates: dict[str, float | None] = {}
        self._writers: dict[str, tuple[VideoWriter, Path]] = {}
        self._undrawn: dict[str, QuadratError] = {}
        self._count = 0
        self.unfinished: dict[str, Path] = {}

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield the Result of every Drawn once its picture is in the video, and Ended with the video's path."""
        try:
            for item in items:
                if isinstance(item, Begun):
                    self._rates[item.source.urn] = item.reading.rate
                if isinstance(item, Drawn):
                    self._write(item)
                    yield item.result
                elif isinstance(item, Ended):
                    yield self._end(item)
                else:
                    if isinstance(item, Failure):
                        self._discard(item.source)
                    yield item
        finally:
            for urn, (writer, path) in self._writers.items():
                with suppress(QuadratError):
                    writer.close()
                    self.unfinished[urn] = path

    def undrawn(self, source: Source) -> QuadratError | None:
        """Say why a source under way has no annotated video, where it has none."""
        return self._undrawn.get(source.urn)

    def _end(self, ended: Ended) -> Ended:
        """Give the video; one that the codec does not take is measured all the same, and has none."""
        video = self._finish(ended.source, ended.reading.seconds)
        undrawn = self._undrawn.pop(ended.source.urn, None)
        reading = replace(ended.reading, error=both(ended.reading.error, undrawn))
        return replace(ended, reading=reading, video=video)

    def _write(self, drawn: Drawn) -> None:
        from quadrat.media.video_write import VideoWriter

        source = drawn.result.source
        if source.urn in self._undrawn:
            return
        try:
            if source.urn not in self._writers:
                self._count += 1
                path = self._folder / f"film-{self._count}.mp4"
                size: tuple[int, int] = (drawn.picture.shape[0], drawn.picture.shape[1])
                writer = VideoWriter(path, size, self._rates.get(source.urn), self._codec)
                self._writers[source.urn] = writer, path
            self._writers[source.urn][0].write(drawn.picture, drawn.result.frame.time_s or 0.0)
        except (ImageSizeError, EncoderError) as error:
            self._drop(source)
            self._undrawn[source.urn] = error.at(source.name)
        except DeliveryError as error:  # a file that the disk cut short plays nowhere
            self._discard(source)
            raise error.at(source.name) from error

    def _finish(self, source: Source, end_s: float | None = None) -> Path | None:
        self._rates.pop(source.urn, None)
        if source.urn not in self._writers:
            return None
        writer, path = self._writers.pop(source.urn)
        try:
            writer.close(end_s)
        except EncoderError as error:
            path.unlink(missing_ok=True)
            self._undrawn[source.urn] = error.at(source.name)
            return None
        except DeliveryError as error:
            raise error.at(source.name) from error
        return path

    def _discard(self, source: Source) -> None:
        """Drop the video of a source that failed in the middle: none of it is a result."""
        self._undrawn.pop(source.urn, None)
        self._rates.pop(source.urn, None)
        self._drop(source)

    def _drop(self, source: Source) -> None:
        """Remove what there is of a source's video."""
        if source.urn in self._writers:
            writer, path = self._writers.pop(source.urn)
            with suppress(DeliveryError):  # of a file that nobody gets
                writer.close()
            path.unlink(missing_ok=True)
