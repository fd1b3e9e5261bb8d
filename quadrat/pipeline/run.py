"""Sources -> results, in order, by one chain of stages; pictures need few of them and videos all.

pictures   read + prepare | infer | task, in the caller's thread
videos     read | prepare | infer | task | track | draw | encode
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from quadrat.errors import QuadratError
from quadrat.pipeline.batches import Batches
from quadrat.pipeline.chain import Stage, Work, run_chain
from quadrat.pipeline.events import both
from quadrat.pipeline.film import Artist, Film
from quadrat.pipeline.intake import AHEAD, Intake, Pull
from quadrat.pipeline.interpret import Interpreter
from quadrat.pipeline.loaded import LoadedModel
from quadrat.pipeline.prepare import Gate, prepare
from quadrat.types import Begun, Ended, Failure, Result, StoreItem

FILM_S = 20.0
"""Time to finish annotated videos in when a run ends early: an index goes in front, so all of a file is moved."""


class Run:
    """The path of one run; iterate it once.

    With `moving` the sources are videos, sequences and streams; annotated videos go into `films`, where
    given. Picture sources give a Result or a Failure each; moving ones Begun, a Result for each frame, and
    in the end Ended or a Failure.
    """

    def __init__(
        self,
        model: LoadedModel,
        items: Iterable[StoreItem],
        pull: Pull,
        *,
        moving: bool = False,
        films: Path | None = None,
    ) -> None:
        self._model = model
        self._items = items
        settings = model.settings
        self._gate = Gate(
            skip_black=settings.frames.skip_black,
            idle_s=settings.frames.idle_seconds,
            min_score=settings.objects.min_score,
        )
        self._intake = Intake(pull, model.frames, settings.streams, tiles=settings.tiles.tile_size > 0)
        self._batches = Batches(model)
        self._interpret = Interpreter(model.task, self._gate)
        self._film = Film(films, settings.pictures.codec) if films else None
        self._open: dict[str, Begun] = {}
        self._stages, self._last = self._moving() if moving else self._pictures()

    def _prepare(self, items: Iterator[Any]) -> Iterator[Any]:
        return prepare(self._model, self._gate, items)

    def _pictures(self) -> tuple[list[Stage], Stage | None]:
        """Lay out the stages for pictures; a thread of its own for the masks would cost more than it wins."""
        read = Stage("read", _joined(self._intake.pictures, self._prepare))
        return [read, Stage("infer", self._batches)], Stage("task", self._interpret)

    def _moving(self) -> tuple[list[Stage], Stage | None]:
        """Lay out the stages for videos; where a frame's answer decides on later ones, one stage does all three."""
        ahead = self._batches.size
        read = Stage("read", self._intake.moving)
        if self._model.settings.frames.idle_seconds:
            measure = [Stage("measure", _joined(self._prepare, self._batches, self._interpret))]
        else:
            measure = [
                Stage("prepare", self._prepare, ahead),
                Stage("infer", self._batches, ahead),
                Stage("task", self._interpret),
            ]
        return [read, *measure, *self._tail()], None

    def _tail(self) -> list[Stage]:
        package = self._model.package
        stages = []
        if package.task == "detect":
            from quadrat.pipeline.follow import Follower

            stages.append(Stage("track", Follower(self._model.settings, package.num_classes)))
        if self._film is not None:
            stages += [Stage("draw", Artist(package.classes)), Stage("encode", self._film, patience_s=FILM_S)]
        return stages

    @property
    def warm_up_s(self) -> float:
        """Seconds spent in runs that do not count."""
        return self._batches.warm_up_s

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages in the order of the data, with the time that each has spent so far.

        Videos are decoded by a thread each: decode is the sum of them, and may be more than the wall's time.
        """
        read, *others = self._stages
        if self._last is not None:
            return [read, *others, self._last]
        decode = Stage("decode", self._intake.moving, AHEAD)
        decode.busy_s, waited = self._intake.decode_s, self._intake.waited_s
        merge = Stage(read.name, read.work, read.ahead)
        merge.busy_s, merge.starved_s = max(0.0, read.busy_s - waited), read.starved_s + waited
        merge.blocked_s = read.blocked_s
        return [decode, merge, *(self._with_network(stage) for stage in others)]

    def _with_network(self, stage: Stage) -> Stage:
        """Count as busy, and not as waiting, the time in which the network works while its stage takes or gives items."""
        if stage.work is not self._batches or self._model.at_once == 1:
            return stage
        told = Stage(stage.name, stage.work, stage.ahead)
        told.busy_s = self._batches.busy_s + self.warm_up_s
        left = max(0.0, stage.busy_s + stage.starved_s + stage.blocked_s - told.busy_s)
        told.blocked_s = min(stage.blocked_s, left)
        told.starved_s = left - told.blocked_s
        return told

    @property
    def seconds(self) -> dict[str, float]:
        """Busy seconds by stage, warm-up left out."""
        spent = {stage.name: stage.busy_s for stage in self.stages}
        if "infer" in spent:
            spent["infer"] -= self.warm_up_s
        return spent

    def __iter__(self) -> Generator[Begun | Result | Ended | Failure, None, None]:
        """Yield what becomes of every source, in order.

        A picture's or video's own fault is a Failure; a fault of the model or the machine is raised.
        """
        stream = run_chain(self._items, self._stages, self._last)
        try:
            for item in stream:
                if isinstance(item, Begun):
                    self._open[item.source.urn] = item
                if isinstance(item, Ended | Failure):
                    self._open.pop(item.source.urn, None)
                    self._intake.forget(item.source)
                yield item
        finally:
            stream.close()  # type: ignore[attr-defined]  # run_chain is a generator

    def unfinished(self, error: QuadratError) -> Iterator[Ended]:
        """Give the sources that the run ended in the middle of, cut short by `error`; ask when the run is over."""
        for urn, begun in self._open.items():
            video = self._film.unfinished.get(urn) if self._film else None
            known = self._intake.reading(begun.source) or begun.reading
            undrawn = self._film.undrawn(begun.source) if self._film else None
            reading = replace(known, error=both(self._interpret.fault(begun.source, error), undrawn))
            yield Ended(begun.source, reading, self._interpret.skipped(begun.source), video)


def _joined(*works: Work) -> Work:
    """Several stages' work as that of one."""

    def work(items: Iterator[Any]) -> Iterator[Any]:
        stream = items
        for each in works:
            stream = each(stream)
        return stream

    return work
