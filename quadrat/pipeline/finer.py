"""The classes that finer models give the objects of a detector -> predictions of their own, smoothed over tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from quadrat.errors import QuadratError, UnmeasuredObjectError
from quadrat.pipeline.cascade import AboutObjects
from quadrat.pipeline.crops import FAILED
from quadrat.pipeline.events import MeasuredFrame
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.pipeline.state import ModelState, SourceState
from quadrat.pipeline.track import HELD
from quadrat.predictions import Detections
from quadrat.tracking.mean_scores import MeanScores
from quadrat.types import Result

ObjectClass = Callable[..., tuple[int, float] | None]


@dataclass(slots=True)
class _Trail:
    """What one source has so far: the mean scores of its tracks, and its objects that could not be measured."""

    means: MeanScores
    failed: int = 0
    first: QuadratError | None = None


class FinerStage:
    """The stage after tracking that gives each model about objects a prediction of its own, if it names classes.

    That prediction is the detector's objects with the finer classes and scores, so that everything that counts,
    tracks and draws objects does so for them too. Objects without a finer class are not in it.
    """

    def __init__(self, models: Pass) -> None:
        self._models = [(model, model.about) for model in models.on_objects if model.about is not None]
        self._max_age = models.settings.tracking.max_age + HELD + 1

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield every MeasuredFrame with the predictions of all models, and everything else unchanged."""
        for item in items:
            if not isinstance(item, MeasuredFrame) or item.result.frame.skipped:
                yield item
                continue
            result = item.result
            for model, about in self._models:
                found = result.predictions.get(about.detector)
                if isinstance(found, Detections):
                    result = self._finer(model, about, result, found, item.state)
            yield replace(item, result=result)

    def _finer(
        self, model: LoadedModel, about: AboutObjects, result: Result, found: Detections, source: SourceState
    ) -> Result:
        """Give a model's results to its own prediction, or to the detector's if it names no classes; so with its errors."""
        name, moving = model.name, result.frame.time_s is not None
        classify: ObjectClass | None = model.kind.part("object_class")
        named = about.detector if classify is None else name
        failed = found.reasons[name].count(FAILED)
        faults = dict(result.faults)
        first = faults.pop(name, None)
        if moving:
            state = source.models[name]
            state.measured += 1
            found = self._followed(name, state, found, failed, first)
            if (fault := _fault_of(state, result.source.name, name)) is not None:
                source.models[named].incomplete = fault
        elif failed and first is not None:
            faults.setdefault(named, unmeasured(failed, first, result.source.name, name))
        predictions = {**result.predictions, about.detector: found}
        if classify is not None:
            predictions[name] = finer(model, found, classify)
        return replace(result, predictions=predictions, faults=faults)

    def _followed(
        self, name: str, state: ModelState, found: Detections, failed: int, first: QuadratError | None
    ) -> Detections:
        """Smooth the details of a frame of a video, and add up its objects that could not be measured."""
        if state.trail is None:
            state.trail = _Trail(MeanScores(name, self._max_age))
        trail: _Trail = state.trail
        if failed:
            trail.failed, trail.first = trail.failed + failed, trail.first or first
        return replace(found, details={**found.details, name: trail.means.update(found)})


def _fault_of(state: ModelState, source: str, model: str) -> UnmeasuredObjectError | None:
    """Return the error of a video with the objects that could not be measured so far; None if there are none."""
    trail: _Trail = state.trail
    return None if trail.first is None else unmeasured(trail.failed, trail.first, source, model)


def unmeasured(count: int, first: QuadratError, source: str, model: str) -> UnmeasuredObjectError:
    """Return the error of a source with objects that a model could not measure."""
    what = "1 object" if count == 1 else f"{count} objects, the first"
    return UnmeasuredObjectError(f"{model} could not measure {what}: {first.at('').line}", where=source)


def finer(model: LoadedModel, found: Detections, classify: ObjectClass) -> Detections:
    """Return the objects to which a model gives a class, with that class and its score."""
    groups = model.kind.groups_of(model.settings)
    named = [
        None if each is None else classify(each.prediction, *groups) for each in found.details[model.name]
    ]
    rows = np.array([row for row, each in enumerate(named) if each is not None], np.intp)
    given = [each for each in named if each is not None]
    kept = found[rows]
    return replace(
        kept,
        classes=np.array([index for index, _ in given], np.int32),
        scores=np.array([score for _, score in given], np.float32),
    )
