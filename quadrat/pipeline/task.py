"""Network outputs -> predictions: adds the parts of each frame to its folds, and counts frames that fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from quadrat.errors import QuadratError, distinct
from quadrat.pipeline.events import FRAME_ERRORS, MeasuredFrame, OpenFrame, PartResult, to_quadrat_error
from quadrat.pipeline.filter import FrameFilter
from quadrat.pipeline.models import Pass
from quadrat.types import Failure, Flush, Part, Result


class TaskStage:
    """The stage that turns network outputs into predictions of whole frames."""

    def __init__(self, models: Pass, frame_filter: FrameFilter) -> None:
        self._models = models
        self._filter = frame_filter
        self._about = {model.name: model.about.detector for model in models.on_objects if model.about}

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield a MeasuredFrame for every frame, and everything else unchanged; Flush only if there are later batches.

        An image that no model can measure is a Failure; a video continues without such a frame. A fault of a model
        is raised.
        """
        for item in items:
            if isinstance(item, PartResult):
                self._add(item)
                if not item.frame.waiting:
                    yield self._finished(item.frame)
            elif isinstance(item, OpenFrame):  # it has no parts
                yield self._finished(item)
            elif isinstance(item, MeasuredFrame):
                for each in item.state.models.values():
                    each.skipped[item.result.frame.skipped] += 1
                yield item
            elif self._about or not isinstance(item, Flush):
                yield item

    def _add(self, ran: PartResult) -> None:
        """Add a part to the fold of its frame and model; after an error, drop the model's other parts."""
        frame = ran.frame
        frame.waiting -= 1
        if ran.model in frame.errors:
            return
        if not isinstance(ran.outcome, Part):
            frame.errors[ran.model] = (ran.outcome, ran.stage)
            frame.folds.pop(ran.model, None)
            return
        try:
            frame.folds[ran.model].add(ran.number, ran.outcome)
        except FRAME_ERRORS as error:
            self._fail(frame, ran.model, error)

    def _fail(self, frame: OpenFrame, model: str, error: Exception) -> None:
        frame.errors[model] = (to_quadrat_error(error, frame.state.source.name), "task")
        frame.folds.pop(model, None)

    def _finished(self, frame: OpenFrame) -> MeasuredFrame | Failure:
        predictions: dict[str, Any] = {}
        for name in self._models.whole:
            if name in frame.errors:
                continue
            try:
                predictions[name] = frame.folds.pop(name).finish()
            except FRAME_ERRORS as error:
                self._fail(frame, name, error)
        self._filter.measured(frame.state, frame.frame, predictions)
        source = frame.state.source
        faults = {name: to_quadrat_error(error, source.name) for name, (error, _) in frame.errors.items()}
        whole = self._models.whole
        if source.media == "image" and not predictions:
            first, *others = distinct([faults[name] for name in whole])
            return Failure(source, frame.errors[whole[0]][1], first, tuple(others))
        faults |= {name: faults[each] for name, each in self._about.items() if each in faults}
        if source.media != "image":
            self._count(frame, predictions, faults)
        taken = frame.frame if predictions else replace(frame.frame, skipped="failed")
        return MeasuredFrame(frame.state, Result(source, taken, predictions, frame.views, faults))

    def _count(self, frame: OpenFrame, predictions: dict[str, Any], faults: dict[str, QuadratError]) -> None:
        for name, state in frame.state.models.items():
            if self._about.get(name) in predictions:
                continue  # the stage that measures its objects counts the frame
            if name in predictions:
                state.measured += 1
                if state.incomplete is None:
                    state.incomplete = self._models[name].fault(predictions[name], frame.state.source.name)
            else:
                state.skipped["failed"] += 1
                if state.failed is None:
                    state.failed, state.stage = faults[name], "infer"
