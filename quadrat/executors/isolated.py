"""The unit of work in a child process.

Two pipes join the processes. Over `events` the parent asks for one event at a time, so a product's file is there
until it is delivered, as in one process. Over `sources` the child asks for the next source, and for the content of
a source while it reads it; a thread of the parent answers.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quadrat.errors import EngineRunError, QuadratError
from quadrat.executors.local import open_local
from quadrat.executors.work import Work
from quadrat.pipeline.chain import Stage
from quadrat.pipeline.measure import Event
from quadrat.pipeline.read import Pull
from quadrat.report.base import ModelFacts
from quadrat.types import Blob, Source, StoreItem

if TYPE_CHECKING:  # a generic class only for mypy
    Pipe = Connection[Any, Any]
JOIN_S = 10.0
"""Time for the child to end by itself before it is killed."""
LOGGER = "quadrat"


@dataclass(frozen=True, slots=True)
class _Spent:
    """The times of a run so far, as the child knows them."""

    stages: tuple[tuple[str, int, float, float, float], ...] = ()
    seconds: Mapping[str, float] | None = None
    warm_up_s: float = 0.0


class IsolatedExecutor:
    """Measures with models that are loaded in a child process."""

    def __init__(self, events: Pipe, sources: Pipe, log: logging.Logger, process: Any) -> None:
        self._events = events
        self._sources = sources
        self._log = log
        self._process = process
        self.facts: Sequence[ModelFacts] = self.ask("facts")

    def measure(self, items: Iterable[StoreItem], pull: Pull, folder: Path) -> IsolatedRun:
        """Measure sources as they come."""
        _Feed(iter(items), pull, self._sources).start()
        return IsolatedRun(self, folder)

    def ask(self, what: str, *details: object) -> Any:
        """Send a request and give the answer; log what the child logs meanwhile, and raise what it raised."""
        try:
            self._events.send((what, *details))
            while True:
                kind, content = self._events.recv()
                if kind == "log":
                    self._log.log(*content)
                elif kind == "error":
                    raise content
                else:
                    return content
        except (EOFError, OSError) as error:
            self._process.join(JOIN_S)
            raise EngineRunError(
                f"the process that measures has died (exit code {self._process.exitcode})",
                hint="Measure the sources one by one to find the one that kills it",
            ) from error


class IsolatedRun:
    """One run in the child process."""

    def __init__(self, executor: IsolatedExecutor, folder: Path) -> None:
        self._executor = executor
        self._folder = folder
        self._spent = _Spent()

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages of the child's pipeline."""
        return [_stage(*each) for each in self._times().stages]

    @property
    def seconds(self) -> Mapping[str, float]:
        """Busy seconds by stage, warm-up left out."""
        return self._times().seconds or {}

    @property
    def warm_up_s(self) -> float:
        """Seconds spent in runs that do not count."""
        return self._times().warm_up_s

    def __iter__(self) -> Generator[Event, None, None]:
        """Yield what becomes of every source."""
        self._executor.ask("measure", self._folder)
        while (event := self._executor.ask("next")) is not None:
            yield event

    def unfinished(self, error: QuadratError) -> Iterator[Event]:
        """Yield products and records of the sources that the run ended in the middle of."""
        try:
            self._executor.ask("unfinished", error)
            while (event := self._executor.ask("next")) is not None:
                yield event
        except EngineRunError:  # the child is gone, and what it knew with it
            return

    def _times(self) -> _Spent:
        with suppress(EngineRunError):
            self._spent = self._executor.ask("times")
        return self._spent


class _Feed(threading.Thread):
    """Answers the child's requests for sources and their contents."""

    def __init__(self, items: Iterator[StoreItem], pull: Pull, pipe: Pipe) -> None:
        super().__init__(name="quadrat-feed", daemon=True)
        self._items = items
        self._pull = pull
        self._pipe = pipe
        self._open: dict[int, AbstractContextManager[Blob]] = {}

    def run(self) -> None:
        """Answer until the child has gone."""
        with suppress(EOFError, OSError):
            while True:
                what, number, source = self._pipe.recv()
                try:
                    self._pipe.send(("answer", self._answer(what, number, source)))
                except (EOFError, OSError):
                    raise
                except Exception as error:  # noqa: BLE001 - the child raises it where it asked
                    self._pipe.send(("error", _portable(error)))

    def _answer(self, what: str, number: int, source: Source) -> StoreItem | Blob | None:
        if what == "item":
            return next(self._items, None)
        if what == "pull":
            context = self._pull(source)
            blob = context.__enter__()
            self._open[number] = context
            return blob
        self._open.pop(number).__exit__(None, None, None)
        return None


@contextmanager
def open_isolated(work: Work, log: logging.Logger) -> Iterator[IsolatedExecutor]:
    """Start a child process and load the models there, for as long as the context lasts."""
    context = multiprocessing.get_context("spawn")
    events, child_events = context.Pipe()
    sources, child_sources = context.Pipe()
    process = context.Process(
        target=_serve, args=(work, child_events, child_sources), name="quadrat-measure", daemon=False
    )
    process.start()
    child_events.close()
    child_sources.close()
    try:
        yield IsolatedExecutor(events, sources, log, process)
    finally:
        events.close()  # the child ends when it reads the end of the pipe
        sources.close()
        process.join(JOIN_S)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(work: Work, events: Pipe, sources: Pipe) -> None:
    """Load the models in the child and answer the parent until it closes the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when to end
    channel = _Channel(events)
    with suppress(EOFError, OSError):
        try:
            with open_local(work, _log_to(channel)) as executor:
                _answer_all(executor, _Sources(sources), channel)
        except (EOFError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - the parent raises it
            channel.receive()
            channel.send(("error", _portable(error)))


class _Channel:
    """The pipe of events in the child; threads that log send over it too."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self.receive = pipe.recv

    def send(self, message: tuple[str, Any]) -> None:
        """Send a message whole."""
        with self._lock:
            self._pipe.send(message)


def _answer_all(executor: Any, sources: _Sources, events: _Channel) -> None:
    run: Any = None
    stream: Iterator[Event] = iter(())
    while True:
        what, *details = events.receive()
        try:
            if what == "facts":
                answer: object = executor.facts
            elif what == "measure":
                run = executor.measure(sources.items(), sources.pull, details[0])
                stream, answer = iter(run), None
            elif what == "unfinished":
                _close(stream)
                stream, answer = run.unfinished(details[0]), None
            elif what == "times":
                answer = _times(run)
            else:
                answer = next(stream, None)
            events.send(("answer", answer))
        except (EOFError, OSError):
            _close(stream)
            raise
        except Exception as error:  # noqa: BLE001 - the parent raises it
            events.send(("error", _portable(error)))


class _Sources:
    """The parent's store as the child sees it."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._count = 0

    def items(self) -> Iterator[StoreItem]:
        """Yield the sources as the parent lists them."""
        while (item := self._ask("item", 0, None)) is not None:
            yield item

    @contextmanager
    def pull(self, source: Source) -> Iterator[Blob]:
        """Give the content of a source for as long as the context lasts."""
        self._count += 1
        number = self._count
        blob: Blob = self._ask("pull", number, source)
        try:
            yield blob
        finally:
            self._ask("release", number, None)

    def _ask(self, what: str, number: int, source: Source | None) -> Any:
        with self._lock:
            self._pipe.send((what, number, source))
            kind, content = self._pipe.recv()
        if kind == "error":
            raise content
        return content


class _LogToParent(logging.Handler):
    def __init__(self, events: _Channel) -> None:
        super().__init__()
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        """Send a log line to the parent."""
        with suppress(OSError):
            self._events.send(("log", (record.levelno, "%s", record.getMessage())))


def _log_to(events: _Channel) -> logging.Logger:
    log = logging.getLogger(LOGGER)
    log.setLevel(logging.INFO)
    log.addHandler(_LogToParent(events))
    log.propagate = False
    return log


def _times(run: Any) -> _Spent:
    if run is None:
        return _Spent()
    stages = tuple((s.name, s.ahead, s.busy_s, s.starved_s, s.blocked_s) for s in run.stages)
    return _Spent(stages, dict(run.seconds), run.warm_up_s)


def _stage(name: str, ahead: int, busy_s: float, starved_s: float, blocked_s: float) -> Stage:
    stage = Stage(name, iter, ahead)
    stage.busy_s, stage.starved_s, stage.blocked_s = busy_s, starved_s, blocked_s
    return stage


def _close(stream: object) -> None:
    close = getattr(stream, "close", None)
    if close is not None:
        close()


def _portable(error: Exception) -> Exception:
    """Give an error that can be pickled: our own as it is, another one by its text."""
    return error if isinstance(error, QuadratError) else RuntimeError(f"{type(error).__name__}: {error}")
