"""The unit of work: sources -> products and records.

An executor decides where it runs: in this process, in a child process, or on other machines. It yields values that
can be pickled and contain no pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from quadrat.errors import NotAnImageError, QuadratError, distinct
from quadrat.interrupts import signals_deferred
from quadrat.media.facts import flags_of
from quadrat.parameters import SEARCH
from quadrat.pipeline.chain import Stage
from quadrat.pipeline.joined import JoinedPicture, is_drawn
from quadrat.pipeline.models import Pass
from quadrat.pipeline.read import Pull
from quadrat.pipeline.run import Run
from quadrat.records import ImageFacts, ModelRecord, SourceRecord, Status, Tuning
from quadrat.report.base import Collector, ModelFacts
from quadrat.report.entries import EntryCollector
from quadrat.report.joined import joined_picture, joined_video
from quadrat.types import Failure, Frame, Product, Result, Source, SourceClosed, SourceOpened, StoreItem


@dataclass(frozen=True, slots=True)
class FrameDone:
    """A frame of a video was measured or skipped; `shrunk` is True if it was shrunk before measuring."""

    source: Source
    skipped: bool
    shrunk: bool


@dataclass(frozen=True, slots=True, eq=False)
class ProductMade:
    """A product of a source. Deliver it before you take the next event."""

    source: Source
    product: Product


@dataclass(frozen=True, slots=True, eq=False)
class SourceDone:
    """A source is finished; `shrunk` is True if it was shrunk before measuring."""

    record: SourceRecord
    shrunk: bool = False


Event = SourceOpened | FrameDone | ProductMade | SourceDone


@dataclass(slots=True)
class _OpenSource:
    """A video, sequence or stream whose frames are coming: its collectors by model, and the frames that they have.

    The pipeline is ahead by some frames. If a run ends early, only the frames that reached the collectors count.
    """

    collectors: dict[str, Collector]
    entries: EntryCollector
    skipped: dict[str, Counter[str]] = field(default_factory=dict)
    measured: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result) -> None:
        """Pass a frame to all collectors and count it."""
        self.entries.add(result)
        for name, collector in self.collectors.items():
            collector.frame(result)
            if name in result.predictions:
                self.measured[name] += 1
            else:
                reasons = self.skipped.setdefault(name, Counter())
                reasons[result.frame.skipped or "failed"] += 1

    def counted(self, closed: SourceClosed) -> SourceClosed:
        """Return the end of the source with the counts of the frames that reached the collectors."""
        closings = {
            name: replace(closing, measured=self.measured[name], skipped=dict(self.skipped.get(name, {})))
            for name, closing in closed.closings.items()
        }
        return replace(closed, closings=closings)


class SourceMeasurement:
    """One run of the unit of work.

    `folder` holds temporary files: annotated videos and columns. Products are made one by one, on demand, after the
    last frame of their source.
    """

    def __init__(
        self,
        models: Pass,
        facts: Sequence[ModelFacts],
        items: Iterable[StoreItem],
        pull: Pull,
        folder: Path,
        *,
        moving: bool,
    ) -> None:
        self._models = models
        self._every = facts
        self._facts = [each for each in facts if each.counted]
        self._folder = folder
        drawn = moving and models.settings.pictures.outputs != ("none",)
        self._run = Run(models, items, pull, moving=moving, videos=folder if drawn else None)
        self._joined = JoinedPicture(models) if not moving and is_drawn(models, moving=False) else None
        self._open: dict[str, _OpenSource] = {}

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages of the pipeline with their times so far."""
        return self._run.stages

    @property
    def tuning(self) -> Sequence[Tuning]:
        """What was chosen for each model with batch-size=auto or cpu-threads=auto."""
        return self._run.tuning

    @property
    def seconds(self) -> dict[str, float]:
        """Busy seconds by stage, without warm-up."""
        return self._run.seconds

    @property
    def warm_up_s(self) -> float:
        """Seconds spent in warm-up runs."""
        return self._run.warm_up_s

    def __iter__(self) -> Generator[Event, None, None]:
        """Yield the events of every source: its products, then its record."""
        with closing(iter(self._run)) as stream:
            for item in stream:
                if isinstance(item, SourceOpened):
                    self._open[item.source.urn] = self._opened(item.source)
                    yield item
                elif isinstance(item, Result) and item.frame.time_s is not None:
                    yield self._frame(item)
                elif isinstance(item, Result):
                    yield from self._picture(item)
                elif isinstance(item, SourceClosed):
                    yield from self._closed(item)
                else:
                    self._open.pop(item.source.urn, None)
                    yield SourceDone(failed_record(item))

    def stop(self) -> None:
        """End the iteration soon, from any thread, also while it waits for a frame."""
        self._run.stop()

    def unfinished(self, error: QuadratError) -> Iterator[Event]:
        """Yield products and records of unfinished sources; call it after the run."""
        for item in self._run.unfinished(error):
            if isinstance(item, SourceClosed):
                yield from self._closed(item)

    def _opened(self, source: Source) -> _OpenSource:
        return _OpenSource(self._collectors(source), self._entries(source))

    def _entries(self, source: Source) -> EntryCollector:
        settings = self._models.settings
        whole = settings.search.index or settings.order.task == SEARCH
        return EntryCollector(self._every, source, self._folder, whole=whole)

    def _collectors(self, source: Source) -> dict[str, Collector]:
        made: dict[str, Collector] = {}
        for facts in self._facts:
            collector = facts.kind.part("collector")
            made[facts.name] = collector(facts, source, self._folder, *facts.groups)
        return made

    def _frame(self, result: Result) -> FrameDone:
        opened = self._open[result.source.urn]
        with signals_deferred():  # half a frame would make the tables wrong
            opened.add(result)
        return FrameDone(result.source, bool(result.frame.skipped), self._is_shrunk(result))

    def _is_shrunk(self, result: Result) -> bool:
        frames = [result.view(name) for name in result.predictions]
        return any(frame.pixels.shape[:2] != frame.source_hw for frame in frames)

    def _picture(self, result: Result) -> Iterator[Event]:
        source, facts, entries = result.source, image_facts(result.frame), self._entries(result.source)
        collectors = self._collectors(source)
        names: list[str] = []
        parts: list[ModelRecord] = []
        for name, collector in collectors.items():
            if result.frame.skipped:
                collector.frame(result)
                parts.append(collector.record())
                continue
            if name not in result.predictions:
                own = (result.faults[name],) if name in result.faults else ()
                parts.append(ModelRecord(name, self._models[name].package.task, faults=own))
                continue
            for product in collector.picture(result):
                names.append(product.name)
                yield ProductMade(source, product)
            parts.append(replace(collector.record(), side=self._side(result, name)))
        if result.frame.skipped:
            reason = f"the picture is {result.frame.skipped}"
            yield SourceDone(SourceRecord(source, "skipped", reason=reason, image=facts, models=tuple(parts)))
            return
        entries.add(result)
        for product in self._joined_picture(result, parts):
            names.append(product.name)
            yield ProductMade(source, product)
        faults = _distinct_faults(parts)
        status: Status = "partial" if faults else "ok"
        record = SourceRecord(source, status, faults, image=facts, models=tuple(parts), products=tuple(names))
        yield SourceDone(replace(record, entries=entries.finish()), self._is_shrunk(result))

    def _joined_picture(self, result: Result, parts: Sequence[ModelRecord]) -> Iterator[Product]:
        """Yield the picture of what all models found, if it is drawn and more than one found something."""
        if self._joined is not None and len(result.predictions) > 1:
            yield joined_picture(self._joined.draw(result), result, self._facts, parts)

    def _side(self, result: Result, name: str) -> int:
        """Return the long side at which a network saw an image; 0 for one that sees objects, not images."""
        height, width = result.view(name).pixels.shape[:2]
        model = self._models[name]
        return model.seen_side((height, width)) if model.about is None else 0

    def _closed(self, closed: SourceClosed) -> Iterator[Event]:
        source = closed.source
        opened = self._open.pop(source.urn, None) or self._opened(source)
        closed, collectors = opened.counted(closed), opened.collectors
        names: list[str] = []
        for collector in collectors.values():
            for product in collector.closed(closed):
                names.append(product.name)
                yield ProductMade(source, product)
        for product in joined_video(closed, self._facts):
            names.append(product.name)
            yield ProductMade(source, product)
        for ended in (*closed.closings.values(), closed.joined):
            if ended.video is not None:
                ended.video.unlink(missing_ok=True)
        parts = tuple(collector.record() for collector in collectors.values())
        measured = any(part.measured for part in parts)
        status: Status = "partial" if closed.faults else "ok" if measured else "skipped"
        reason = "" if measured or closed.faults else _unmeasured(parts)
        yield SourceDone(
            SourceRecord(
                source,
                status,
                closed.faults,
                reason,
                reading=closed.reading,
                models=parts,
                products=tuple(names),
                entries=opened.entries.finish(),
            )
        )


def image_facts(frame: Frame) -> ImageFacts:
    """Return the facts about an image."""
    working = frame.pixels.shape[0], frame.pixels.shape[1]
    return ImageFacts(
        frame.source_hw,
        working,
        frame.digest,
        dict(frame.exif),
        frame.skipped,
        frame.facts,
        flags=flags_of(frame.facts, frame.source_hw, frame.depth),
        depth=frame.depth,
    )


def failed_record(failure: Failure) -> SourceRecord:
    """Return the record of a source that failed, or that is not of the kind that the order measures."""
    status: Status = "skipped" if isinstance(failure.error, NotAnImageError) else "failed"
    return SourceRecord(failure.source, status, (failure.error, *failure.others))


def not_reached_record(source: Source, reason: str) -> SourceRecord:
    """Return the record of a source that the order did not reach."""
    return SourceRecord(source, "not-reached", reason=reason)


def _distinct_faults(parts: Sequence[ModelRecord]) -> tuple[QuadratError, ...]:
    """List the errors of all models, each once."""
    return distinct(fault for part in parts for fault in part.faults)


def _unmeasured(parts: Sequence[ModelRecord]) -> str:
    """Return why no frame was measured."""
    skipped = parts[0].skipped if parts else {}
    why = ", ".join(f"{count} {reason}" for reason, count in skipped.items() if count)
    return "no frame was measured" + (f": {why}" if why else "")
