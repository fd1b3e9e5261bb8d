"""The child's side of the isolated executor: it loads the models and answers the parent's requests."""

from __future__ import annotations

import logging
import pickle
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quadrat.executors.local import LocalExecutor, open_local
from quadrat.executors.processes import ignore_signals
from quadrat.executors.work import Work
from quadrat.pipeline.measure import Event, SourceMeasurement
from quadrat.types import Blob, Source, StoreItem

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    Pipe = Connection[Any, Any]

WATCH_S = 0.1
"""Seconds between two checks in the child that the parent still waits for its answer."""
LOGGER = "quadrat"


@dataclass(frozen=True, slots=True)
class Spent:
    """The times of a run so far, as the child knows them."""

    stages: tuple[tuple[str, int, float, float, float], ...] = ()
    seconds: Mapping[str, float] | None = None
    warm_up_s: float = 0.0


def serve(work: Work, events: Pipe, sources: Pipe) -> None:
    """Load the models in the child and answer the parent until it closes the pipe."""
    ignore_signals()  # the parent decides when to end
    channel = _Channel(events)
    with ExitStack() as stack, suppress(EOFError, OSError):
        try:
            executor = stack.enter_context(open_local(work, _log_to(channel)))
        except Exception as error:  # noqa: BLE001 - the parent raises it
            asked, *_ = channel.receive()
            channel.send(("error", asked, portable(error)))
            return
        server = _Server(executor, _Sources(sources), _Watch(events))
        stack.callback(server.close)
        while True:
            channel.send(server.reply(*channel.receive()))


class _Channel:
    """The child's end of the event pipe. Threads that log send over it too."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self.receive = pipe.recv

    def send(self, message: tuple[str, int, object]) -> None:
        """Send a message; several threads may do so."""
        with self._lock:
            send(self._pipe, message)


class _Watch(threading.Thread):
    """Stops a run whose next event the parent no longer waits for.

    A request that comes before the last one is answered means that a signal ended the parent's wait, and the end of
    the pipe that the parent is gone. Without the watch, both would wait for the next frame of a stream that stalls.
    """

    def __init__(self, pipe: Pipe) -> None:
        super().__init__(name="quadrat-watch", daemon=True)
        self._pipe = pipe
        self._lock = threading.Lock()
        self._waiting: SourceMeasurement | None = None
        self._turn = 0
        self.start()

    @contextmanager
    def over(self, run: SourceMeasurement | None) -> Iterator[None]:
        """Watch while the body waits for the run's next event."""
        with self._lock:
            self._waiting, self._turn = run, self._turn + 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting = None

    def run(self) -> None:
        """Watch until the pipe is closed."""
        with suppress(OSError):
            while True:
                turn = self._turn
                came = self._pipe.poll(WATCH_S)
                with self._lock:  # in another turn the message was the next request
                    if came and turn == self._turn and self._waiting is not None:
                        self._waiting.stop()
                if came:
                    time.sleep(WATCH_S)


class _Server:
    """Answers the parent's requests."""

    def __init__(self, executor: LocalExecutor, sources: _Sources, watch: _Watch) -> None:
        self._executor = executor
        self._sources = sources
        self._watch = watch
        self._run: SourceMeasurement | None = None
        self._stream: Iterator[Event] = iter(())

    def reply(self, number: int, what: str, *details: Any) -> tuple[str, int, object]:
        """Return the answer to a request, or the error that it raised."""
        try:
            return "answer", number, self._answer(what, *details)
        except BaseException as error:  # noqa: BLE001 - the parent raises it
            return "error", number, portable(error)

    def close(self) -> None:
        """End the run."""
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()

    def _answer(self, what: str, *details: Any) -> object:
        if what == "facts":
            return self._executor.facts
        if what == "measure":
            self.close()
            self._run = self._executor.measure(self._sources.items(), self._sources.pull, details[0])
            self._stream = iter(self._run)
            return None
        if what == "times":
            return _times(self._run)
        if what == "unfinished":
            self.close()
            self._stream = iter(()) if self._run is None else self._run.unfinished(details[0])
            return None
        with self._watch.over(self._run):
            return next(self._stream, None)


class _Sources:
    """The parent's store as the child sees it."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._count = 0

    def items(self) -> Iterator[StoreItem]:
        """Yield the sources as the parent lists them."""
        while (item := self._ask("item")[1]) is not None:
            yield item

    @contextmanager
    def pull(self, source: Source) -> Iterator[Blob]:
        """Provide the content of a source while the context is open."""
        number, blob = self._ask("pull", source=source)
        try:
            yield blob
        finally:
            self._ask("release", number)

    def _ask(self, what: str, number: int | None = None, source: Source | None = None) -> tuple[int, Any]:
        """Send a request, with a new number if it has none, and return its number and the answer."""
        with self._lock:
            if number is None:
                self._count += 1
                number = self._count
            self._pipe.send((number, what, source))
            kind, _, content = self._pipe.recv()
        if kind == "error":
            raise content
        return number, content


class _LogToParent(logging.Handler):
    def __init__(self, events: _Channel) -> None:
        super().__init__()
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        """Send a log line to the parent."""
        with suppress(OSError):
            self._events.send(("log", 0, (record.levelno, "%s", record.getMessage())))


def _log_to(events: _Channel) -> logging.Logger:
    log = logging.getLogger(LOGGER)
    log.setLevel(logging.INFO)
    log.addHandler(_LogToParent(events))
    log.propagate = False
    return log


def _times(run: SourceMeasurement | None) -> Spent:
    if run is None:
        return Spent()
    stages = tuple((s.name, s.ahead, s.busy_s, s.starved_s, s.blocked_s) for s in run.stages)
    return Spent(stages, dict(run.seconds), run.warm_up_s)


def send(pipe: Pipe, message: tuple[str, int, object]) -> None:
    """Send a message; if it cannot be pickled, send the reason instead."""
    try:
        pipe.send(message)
    except (EOFError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - the other side raises it
        pipe.send(("error", message[1], portable(error)))


def portable(error: BaseException) -> BaseException:
    """Return an error that can be pickled: the error itself, or one with its text."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):  # noqa: S301 - written in the line itself
            return error
    except Exception:  # noqa: BLE001, S110 - its own constructor may raise anything
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")
