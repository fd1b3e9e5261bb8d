"""Frames -> network inputs: every part of a frame, for every model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from quadrat.geometry import Geometry, Window
from quadrat.media.scale import scaled
from quadrat.pipeline.enhance import enhanced
from quadrat.pipeline.events import (
    DecodedFrame,
    MeasuredFrame,
    OpenFrame,
    PartResult,
    PreparedPart,
    to_quadrat_error,
)
from quadrat.pipeline.filter import FrameFilter
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.types import Flush, Frame, Result, Sample


def prepare(models: Pass, frame_filter: FrameFilter, items: Iterator[Any]) -> Iterator[Any]:
    """Yield an item for every part of every frame, a MeasuredFrame for a skipped frame, and everything else unchanged.

    A part is a PreparedPart, or a PartResult with an error if it has no input. A frame without parts, which tasks
    without a network have, is yielded as an OpenFrame.
    """
    for item in items:
        if not isinstance(item, DecodedFrame):
            yield item
            continue
        state, frame = item.state, item.frame
        if frame_filter.must_wait(state, frame):
            yield Flush()
        reason = frame.skipped or frame_filter.reason(state, frame)
        if reason:
            yield MeasuredFrame(state, Result(state.source, replace(frame, skipped=reason), {}))
            continue
        frame_filter.sent(state, frame)
        yield from _parts(models, OpenFrame(state, frame))


def _parts(models: Pass, opened: OpenFrame) -> Iterator[PreparedPart | PartResult | OpenFrame]:
    """Plan the parts of a frame for all models of whole frames, then yield them.

    A model that cannot plan gives one PartResult.
    """
    failed: list[PartResult] = []
    for name in models.whole:
        model = models[name]
        try:
            opened.folds[name] = model.task.start(view_of(models, opened, model))
        except Exception as error:  # noqa: BLE001 - whatever a source contains, it must not end the order
            failed.append(
                PartResult(opened, name, 0, to_quadrat_error(error, opened.state.source.name), stage="read")
            )
    opened.waiting = len(failed) + sum(len(fold.windows) for fold in opened.folds.values())
    yield from failed
    if not opened.waiting:
        yield opened
    for name, fold in list(opened.folds.items()):  # the stage that adds parts removes folds
        for number, window in enumerate(fold.windows):
            yield part_of(models[name], opened, number, window)


def view_of(models: Mapping[str, LoadedModel], opened: OpenFrame, model: LoadedModel) -> Frame:
    """Return the frame as a model measures it, and store it unless it is the frame as it was read.

    It has the model's working size, and the model's steps have been applied to it. Models that measure the same
    picture share it; `models` are those that may have a view of this frame.
    """
    frame = opened.frame
    wanted = model.working_hw(frame.source_hw)
    whole = wanted[0] * wanted[1] >= frame.pixels.shape[0] * frame.pixels.shape[1]
    if whole and not model.steps:
        return frame
    hw = frame.pixels.shape[:2] if whole else wanted
    views = [(models[name].steps, view) for name, view in opened.views.items() if view.pixels.shape[:2] == hw]
    same = next((view for steps, view in views if steps == model.steps), None)
    if same is None:
        plain = next((view.pixels for steps, view in views if not steps), None)
        if plain is None:
            plain = frame.pixels if whole else scaled(frame.pixels, wanted)
        same = replace(frame, pixels=enhanced(plain, model.steps, opened.state.source.name))
    opened.views[model.name] = same
    return same


def part_of(
    model: LoadedModel, opened: OpenFrame, number: int, window: Window | None
) -> PreparedPart | PartResult:
    """Make the network's input for part `number` of a frame; an error gives a PartResult."""
    frame = opened.views.get(model.name, opened.frame)
    start = Geometry.identity(frame.source_hw).resized((frame.pixels.shape[0], frame.pixels.shape[1]))
    try:
        if window is None:
            tensor, geometry = model.transform(frame.pixels, start)
        else:
            pixels = frame.pixels[window.top : window.bottom, window.left : window.right]
            tensor, geometry = model.transform(pixels, start.cropped(window))
    except Exception as error:  # noqa: BLE001 - whatever a source contains, it must not end the order
        reason = to_quadrat_error(error, opened.state.source.name)
        return PartResult(opened, model.name, number, reason, stage="read")
    return PreparedPart(opened, model.name, number, Sample(tensor, geometry, window))
