"""Sources -> results, in order, through one chain of stages: few for images, all of them for videos.

images     read + prepare | infer | task, in the caller's thread
videos     read | prepare | infer | task | track | draw | encode

With several models, each has its own infer stage, and each that tracks has its own track stage. A model about objects
has its stages after the task, for images and videos alike:

cascade    ... task + crop | infer | join | [track] | finer ...
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from quadrat.errors import QuadratError
from quadrat.pipeline.batches import Batches
from quadrat.pipeline.cascade import AboutObjects
from quadrat.pipeline.chain import Stage, StageWork, run_chain
from quadrat.pipeline.crops import CropStage, JoinStage
from quadrat.pipeline.events import MeasuredFrame, SourceEnd, SourceStart
from quadrat.pipeline.filter import FrameFilter
from quadrat.pipeline.finer import FinerStage
from quadrat.pipeline.joined import is_drawn
from quadrat.pipeline.models import Pass
from quadrat.pipeline.prepare import prepare
from quadrat.pipeline.read import AHEAD, Pull, SourceReader
from quadrat.pipeline.state import SourceState
from quadrat.pipeline.task import TaskStage
from quadrat.pipeline.workers import Quiet
from quadrat.records import Tuning
from quadrat.types import Failure, Reading, Result, SourceClosed, SourceOpened, StoreItem

ENCODE_S = 20.0
"""Seconds to finish annotated videos if a run ends early: writing the index at the front rewrites the whole file."""


class Run:
    """One run of the pipeline; iterate it once.

    With `moving`, the sources are videos, sequences and streams, and annotated videos go to the folder `videos`, if
    it is given. Each image gives a Result or a Failure. Each other source gives SourceOpened, a Result for each
    frame, and at its end SourceClosed or a Failure.
    """

    def __init__(
        self,
        models: Pass,
        items: Iterable[StoreItem],
        pull: Pull,
        *,
        moving: bool = False,
        videos: Path | None = None,
    ) -> None:
        self._models = models
        self._items = items
        self._filter = FrameFilter(models)
        self._reader = SourceReader(pull, models)
        quiet = Quiet()
        self._batches = [Batches(models[name], quiet) for name in models.whole]
        self._on_objects = [Batches(model, quiet) for model in models.on_objects]
        self._task = TaskStage(models, self._filter)
        self._open: dict[int, SourceState] = {}
        self._stop = threading.Event()
        self._stages, self._last = self._for_videos(videos) if moving else self._for_images()

    def _prepare(self, items: Iterator[Any]) -> Iterator[Any]:
        return prepare(self._models, self._filter, items)

    def _infer_name(self, batches: Batches) -> str:
        return "infer" if len(self._models) == 1 else f"infer {batches.model.name}"

    def _for_images(self) -> tuple[list[Stage], Stage | None]:
        """Return the stages for images; another thread for the task would cost more than it gains."""
        read = Stage("read", _joined(self._reader.pictures, self._prepare))
        infer = [Stage(self._infer_name(each), each) for each in self._batches]
        if not self._on_objects:
            return [read, *infer], Stage("task", self._task)
        works, last = self._cascade(self._task)
        return [read, *infer, *works], Stage("join", _joined(last, FinerStage(self._models)))

    def _cascade(self, before: StageWork) -> tuple[list[Stage], StageWork]:
        """Return the stages of the models about objects, and the work that joins the results of the last one.

        `before` is the work of the stage before them, which the first cuts out objects in.
        """
        stages: list[Stage] = []
        for place, batches in enumerate(self._on_objects, 1):
            model, about = batches.model, batches.model.about or AboutObjects("")
            name = "task" if place == 1 else f"crop {model.name}"
            same = model.steps == self._models[about.detector].steps
            stages.append(Stage(name, _joined(before, CropStage(model, about, same_steps=same))))
            stages.append(Stage(self._infer_name(batches), batches, batches.size))
            batches.before = stages[-2:]
            before = JoinStage(model, about, last=place == len(self._on_objects))
        return stages, before

    def _for_videos(self, videos: Path | None) -> tuple[list[Stage], Stage | None]:
        """Return the stages for videos. With idle-seconds, a frame decides on later frames, so one stage measures."""
        read = Stage("read", self._reader.moving)
        if self._models.settings.frames.idle_seconds:
            measure = [Stage("measure", _joined(self._prepare, *self._batches, self._task))]
            cascade, last = self._cascade(_unchanged) if self._on_objects else ([], None)
        else:
            prepared = Stage("prepare", self._prepare, max(each.size for each in self._batches))
            infer = [Stage(self._infer_name(each), each, each.size) for each in self._batches]
            for each in self._batches:
                each.before = (prepared, *infer)
            measure = [prepared, *infer]
            cascade, last = (
                self._cascade(self._task) if self._on_objects else ([Stage("task", self._task)], None)
            )
        join = [] if last is None else [Stage("join", last)]
        finer = [Stage("finer", FinerStage(self._models))] if self._on_objects else []
        return [read, *measure, *cascade, *join, *self._track(), *finer, *self._draw(videos)], None

    def _track(self) -> list[Stage]:
        tracked = [model for model in self._models.values() if model.kind.tracks and model.about is None]
        if not tracked:
            return []
        from quadrat.pipeline.appearance import model_of_vectors
        from quadrat.pipeline.track import TrackStage

        vectors = [model_of_vectors(self._models, model.name) for model in tracked]
        names = ["track" if len(self._models) == 1 else f"track {model.name}" for model in tracked]
        return [
            Stage(name, TrackStage(model, each))
            for name, model, each in zip(names, tracked, vectors, strict=True)
        ]

    def _draw(self, videos: Path | None) -> list[Stage]:
        if videos is None:
            return []
        from quadrat.pipeline.annotate import Annotator
        from quadrat.pipeline.encode import VideoEncoder

        outputs = self._models.settings.pictures.outputs
        drawn = tuple(
            name
            for name in self._models.counted
            if (pictures := self._models.kind_of(name).all_pictures)
            and (not outputs or set(outputs) & set(pictures))
        )
        if not drawn and not is_drawn(self._models, moving=True):
            return []
        encoder = VideoEncoder(videos, self._models.settings.pictures.codec)
        return [
            Stage("draw", Annotator(self._models, drawn)),
            Stage("encode", encoder, patience_s=ENCODE_S),
        ]

    @property
    def tuning(self) -> Sequence[Tuning]:
        """What was chosen for each model with batch-size=auto or cpu-threads=auto."""
        return [each.tuning for each in (*self._batches, *self._on_objects) if each.tuning is not None]

    @property
    def warm_up_s(self) -> float:
        """Seconds spent in warm-up runs, and in trials for auto."""
        return sum(each.warm_up_s for each in (*self._batches, *self._on_objects))

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages in the order of the data, with their times so far.

        Each video is decoded in its own thread. The times of decode are sums over these threads, and can exceed the
        time of the run.
        """
        read, *others = self._stages
        if self._last is not None:
            return [read, *others, self._last]
        decode = Stage("decode", self._reader.moving, AHEAD)
        decode.busy_s, waited = self._reader.decode_s, self._reader.waited_s
        merge = Stage(read.name, read.work, read.ahead)
        merge.busy_s, merge.starved_s = max(0.0, read.busy_s - waited), read.starved_s + waited
        merge.blocked_s = read.blocked_s
        return [decode, merge, *(self._with_network(stage) for stage in others)]

    def _with_network(self, stage: Stage) -> Stage:
        """Count the time in which the network runs as busy, even if its stage waits for items meanwhile."""
        every = (*self._batches, *self._on_objects)
        batches = next((each for each in every if stage.work is each), None)
        if batches is None or batches.model.at_once == 1:
            return stage
        counted = Stage(stage.name, stage.work, stage.ahead)
        counted.busy_s = batches.busy_s + batches.warm_up_s
        left = max(0.0, stage.busy_s + stage.starved_s + stage.blocked_s - counted.busy_s)
        counted.blocked_s = min(stage.blocked_s, left)
        counted.starved_s = left - counted.blocked_s
        return counted

    @property
    def seconds(self) -> dict[str, float]:
        """Busy seconds by stage, without warm-up."""
        spent = {stage.name: stage.busy_s for stage in self.stages}
        for batches in (*self._batches, *self._on_objects):
            name = self._infer_name(batches)
            if name in spent:
                spent[name] -= batches.warm_up_s
        return spent

    def __iter__(self) -> Generator[SourceOpened | Result | SourceClosed | Failure, None, None]:
        """Yield the results of every source, in order.

        An error in one source becomes a Failure; an error of the model or the machine is raised.
        """
        stream = run_chain(self._items, self._stages, self._last, self._stop)
        try:
            for item in stream:
                if isinstance(item, MeasuredFrame):
                    yield item.result
                    if item.result.frame.time_s is not None:
                        self._reader.budget.remove(item.state, item.result.frame.source_hw)
                elif isinstance(item, SourceStart):
                    self._open[id(item.state)] = item.state
                    yield SourceOpened(item.state.source, _reading(item.state))
                elif isinstance(item, SourceEnd):
                    self._open.pop(id(item.state), None)
                    yield _ended(item)
                else:
                    yield item
        finally:
            stream.close()  # type: ignore[attr-defined]  # run_chain is a generator

    def stop(self) -> None:
        """End the iteration soon, from any thread, also while it waits for a frame."""
        self._stop.set()

    def unfinished(self, error: QuadratError) -> Iterator[SourceClosed | Failure]:
        """Close unfinished sources, with `error` as the reason; call it after the run."""
        for state in self._open.values():
            yield state.close(error)
        self._open.clear()


def _reading(state: SourceState) -> Reading:
    return state.reader.reading if state.reader is not None else Reading(hw=(0, 0))


def _ended(ending: SourceEnd) -> SourceClosed | Failure:
    if ending.error is not None:
        return Failure(ending.state.source, "read", ending.error)
    return ending.state.close()


def _unchanged(items: Iterator[Any]) -> Iterator[Any]:
    yield from items


def _joined(*works: StageWork) -> StageWork:
    """Combine the work of several stages into one."""

    def work(items: Iterator[Any]) -> Iterator[Any]:
        stream = items
        for each in works:
            stream = each(stream)
        return stream

    return work
