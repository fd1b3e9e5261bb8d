"""Annotated frames -> videos: a file for each source and model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quadrat.errors import DeliveryError, EncoderError, ImageSizeError, QuadratError
from quadrat.pipeline.annotate import AnnotatedFrame
from quadrat.pipeline.events import SourceEnd, SourceStart
from quadrat.pipeline.joined import JOINED
from quadrat.pipeline.state import ModelState, SourceState
from quadrat.types import ImageU8

if TYPE_CHECKING:
    from quadrat.media.video_write import VideoWriter


class VideoEncoder:
    """The stage that encodes annotated videos. If the run ends early, it finishes the files that are open."""

    def __init__(self, folder: Path, codec: str) -> None:
        self._folder = folder
        self._codec = codec
        self._open: dict[int, SourceState] = {}
        self._count = 0

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield the MeasuredFrame of every AnnotatedFrame once its pictures are written, and everything else unchanged.

        When it yields an SourceEnd, the state of the source has the paths of its videos.
        """
        try:
            for item in items:
                if isinstance(item, AnnotatedFrame):
                    self._write(item)
                    yield item.measured
                    continue
                if isinstance(item, SourceStart):
                    self._open[id(item.state)] = item.state
                elif isinstance(item, SourceEnd):
                    self._end(item)
                yield item
        finally:
            for state in self._open.values():
                for model in state.drawings:
                    with suppress(QuadratError):
                        _finish(model, state)

    def _end(self, ending: SourceEnd) -> None:
        """Finish the videos of a source, or delete them if the source failed."""
        state = ending.state
        self._open.pop(id(state), None)
        failed = ending.error is not None or state.has_failed
        seconds = state.reader.reading.seconds if state.reader is not None else None
        for model in state.drawings:
            if failed:
                _discard(model)
            else:
                _finish(model, state, seconds)

    def _write(self, annotated: AnnotatedFrame) -> None:
        state, result = annotated.measured.state, annotated.measured.result
        for name, picture in annotated.pictures.items():
            model = state.joined if name == JOINED else state.models[name]
            if model.undrawn is not None:
                continue
            try:
                if model.writer is None:
                    model.writer = self._writer(state, picture)
                writer, _ = model.writer
                writer.write(picture, result.frame.time_s or 0.0)
            except (ImageSizeError, EncoderError) as error:
                _discard(model)
                model.undrawn = error.at(state.source.name)
            except DeliveryError as error:  # the disk is full, and an incomplete file cannot be played
                _discard(model)
                raise error.at(state.source.name) from error

    def _writer(self, state: SourceState, picture: ImageU8) -> tuple[VideoWriter, Path]:
        from quadrat.media.video_write import VideoWriter

        self._count += 1
        path = self._folder / f"video-{self._count}.mp4"
        size: tuple[int, int] = (picture.shape[0], picture.shape[1])
        rate = state.reader.reading.rate if state.reader is not None else None
        return VideoWriter(path, size, rate, self._codec), path


def _finish(model: ModelState, state: SourceState, end_s: float | None = None) -> None:
    """Close a video and store its path; if the codec refuses it, the source has no annotated video."""
    if model.writer is None:
        return
    (writer, path), model.writer = model.writer, None
    try:
        writer.close(end_s)
    except EncoderError as error:
        path.unlink(missing_ok=True)
        model.undrawn = error.at(state.source.name)
    except DeliveryError as error:
        raise error.at(state.source.name) from error
    else:
        model.video = path


def _discard(model: ModelState) -> None:
    """Delete an unfinished video."""
    if model.writer is None:
        return
    (writer, path), model.writer = model.writer, None
    with suppress(DeliveryError):  # the file is deleted anyway
        writer.close()
    path.unlink(missing_ok=True)
