"""The unit of work in a child process.

Two pipes join the processes. Over `events`, the parent asks for one event at a time, so a product's file exists
until it is delivered, as in one process. Over `sources`, the child asks for the next source, and for the content of
the source that it reads; a thread of the parent answers.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quadrat.errors import EngineRunError, QuadratError
from quadrat.executors.child import Spent, portable, send, serve
from quadrat.executors.processes import JOIN_S, end, start
from quadrat.executors.work import Work
from quadrat.interrupts import signals_deferred
from quadrat.pipeline.chain import Stage
from quadrat.pipeline.measure import Event, SourceDone
from quadrat.pipeline.read import Pull
from quadrat.report.base import ModelFacts
from quadrat.types import Blob, Source, StoreItem

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    Pipe = Connection[Any, Any]

END_S = 60.0
"""Seconds that the child has to answer once a run has ended early, before it is killed."""


class IsolatedExecutor:
    """Measures with models that are loaded in a child process.

    `has_died` is True once the child is gone; a child that takes longer than `patience_s` to answer is killed, unless
    it is None; `late` holds the records that came after a signal had ended the wait
    for them.
    """

    def __init__(self, events: Pipe, feed: _Feed, log: logging.Logger, process: Any) -> None:
        self._events = events
        self._feed = feed
        self._log = log
        self._process = process
        self._asked = 0
        self.has_died = False
        self.patience_s: float | None = None
        self.late: list[SourceDone] = []
        self.facts: Sequence[ModelFacts] = self.ask("facts")

    def measure(self, items: Iterable[StoreItem], pull: Pull, folder: Path) -> IsolatedRun:
        """Measure sources as they come; one run at a time."""
        return IsolatedRun(self, folder, partial(self._feed.serve, items, pull))

    def ask(self, what: str, *details: object) -> Any:
        """Send a request and return the answer. Log the lines of the child's log, and raise its exceptions.

        Raises EngineRunError if the child has died.
        """
        self._asked += 1
        try:
            with signals_deferred():
                self._events.send((self._asked, what, *details))
            kind, content = self._answer()
        except (EOFError, OSError) as error:
            self.has_died = True
            self._process.join(JOIN_S)
            raise EngineRunError(
                f"the process that measures {_ending(self._process.exitcode)}",
                hint="Measure fewer sources at a time to find the one that ends it",
            ) from error
        if kind == "error":
            raise content
        return content

    def _answer(self) -> tuple[str, Any]:
        """Wait for the answer to the last request.

        Answers to earlier requests are late: a signal ended the wait for them.
        """
        while True:
            if not self._events.poll(
                self.patience_s
            ):  # a signal may end the wait, but must not cut a message
                self._process.kill()
            with signals_deferred():
                kind, number, content = self._events.recv()
                if isinstance(content, SourceDone):
                    self.late.append(content)
            if kind == "log":
                self._log.log(*content)
            elif number == self._asked:
                if isinstance(content, SourceDone):
                    self.late.pop()
                return kind, content


class IsolatedRun:
    """One run in the child process."""

    def __init__(self, executor: IsolatedExecutor, folder: Path, serve: Callable[[], None]) -> None:
        self._executor = executor
        self._folder = folder
        self._serve = serve
        self._spent = Spent()

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages of the child's pipeline."""
        return [_stage(*each) for each in self._times().stages]

    @property
    def seconds(self) -> Mapping[str, float]:
        """Busy seconds by stage, without warm-up."""
        return self._times().seconds or {}

    @property
    def warm_up_s(self) -> float:
        """Seconds spent in warm-up runs."""
        return self._times().warm_up_s

    def __iter__(self) -> Generator[Event, None, None]:
        """Yield the events of every source."""
        self._executor.ask("measure", self._folder)  # this ends an earlier run, which would take our sources
        self._serve()
        while (event := self._executor.ask("next")) is not None:
            yield event

    def unfinished(self, error: QuadratError) -> Iterator[Event]:
        """Yield products and records of unfinished sources.

        If the child has died or does not answer, their results are lost.
        """
        self._executor.patience_s = END_S
        try:
            self._executor.ask("unfinished", error)
            yield from self._executor.late
            while (event := self._executor.ask("next")) is not None:
                yield event
        except EngineRunError:
            if not self._executor.has_died:
                raise

    def _times(self) -> Spent:
        if not self._executor.has_died:
            with suppress(EngineRunError):
                self._spent = self._executor.ask("times")
        return self._spent


class _Feed(threading.Thread):
    """Answers the child's requests for sources and their contents."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__(name="quadrat-feed", daemon=True)
        self._pipe = pipe
        self._items: Iterator[StoreItem] = iter(())
        self._pull: Pull | None = None
        self._open: dict[int, AbstractContextManager[Blob]] = {}

    def serve(self, items: Iterable[StoreItem], pull: Pull) -> None:
        """Set the sources of the next run."""
        self._items, self._pull = iter(items), pull

    def run(self) -> None:
        """Answer until the child is gone, and then release the sources that it still held."""
        try:
            with suppress(EOFError, OSError):
                while True:
                    send(self._pipe, self._reply(*self._pipe.recv()))
        finally:
            for context in self._open.values():
                with suppress(Exception):  # the child is gone, and nobody can handle the error
                    context.__exit__(None, None, None)

    def _reply(self, number: int, what: str, source: Source | None) -> tuple[str, int, object]:
        try:
            return "answer", number, self._answer(number, what, source)
        except BaseException as error:  # noqa: BLE001 - the child raises it where it asked
            return "error", number, portable(error)

    def _answer(self, number: int, what: str, source: Source | None) -> StoreItem | Blob | None:
        if what == "item":
            return next(self._items, None)
        if source is None or self._pull is None:
            self._open.pop(number).__exit__(None, None, None)
            return None
        context = self._pull(source)
        blob = context.__enter__()
        self._open[number] = context
        return blob


@contextmanager
def open_isolated(work: Work, log: logging.Logger) -> Iterator[IsolatedExecutor]:
    """Start a child process that loads the models and keeps them while the context is open.

    Raises what loading the models raises, and EngineRunError if the child dies.
    """
    context = multiprocessing.get_context("spawn")
    events, child_events = context.Pipe()
    sources, child_sources = context.Pipe()
    process = context.Process(
        target=serve, args=(work, child_events, child_sources), name="quadrat-measure", daemon=False
    )
    feed = _Feed(sources)
    try:
        start(process)
        child_events.close()
        child_sources.close()
        feed.start()
        yield IsolatedExecutor(events, feed, log, process)
    finally:
        for pipe in (child_events, child_sources, events):
            pipe.close()  # the child ends when it reads the end of the pipe
        end(process)
        if feed.ident is not None:
            feed.join(JOIN_S)
        sources.close()


def _stage(name: str, ahead: int, busy_s: float, starved_s: float, blocked_s: float) -> Stage:
    stage = Stage(name, iter, ahead)
    stage.busy_s, stage.starved_s, stage.blocked_s = busy_s, starved_s, blocked_s
    return stage


def _ending(exit_code: int | None) -> str:
    """Describe how a process ended."""
    if exit_code is not None and exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"has died (exit code {exit_code})"
