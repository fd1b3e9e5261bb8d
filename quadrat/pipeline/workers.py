"""Threads beside a stage's own, for stages that work on several items at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue
from time import perf_counter
from types import TracebackType
from typing import Generic, TypeVar

from quadrat.errors import EngineUnavailableError

Given = TypeVar("Given")
Made = TypeVar("Made")


def start_thread(thread: threading.Thread) -> None:
    """Start a thread; raise EngineUnavailableError if the system allows no more of them."""
    try:
        thread.start()
    except RuntimeError as error:
        raise EngineUnavailableError(
            "the system allows no more threads", hint="Raise its limit (ulimit -u), or end other programs"
        ) from error


class Workers(Generic[Given, Made]):
    """`count` threads that do `work`; with 0, `submit` does it in the caller's thread.

    The threads are daemons, because a network that hangs must not keep the process alive. Leaving the context waits
    for the work under way; work that is still queued never starts.
    """

    def __init__(self, work: Callable[[Given], Made], count: int) -> None:
        self.count = count
        self._work = work
        self._tasks: SimpleQueue[tuple[Future[Made], Given] | None] = SimpleQueue()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, name=f"quadrat-worker-{n}", daemon=True)
            for n in range(count)
        ]
        for thread in self._threads:
            start_thread(thread)

    def __enter__(self) -> Workers[Given, Made]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def submit(self, given: Given) -> Future[Made]:
        """Queue one piece of work and return its future; `result` returns what the work returned, or raises its error."""
        future: Future[Made] = Future()
        if self._threads:
            self._tasks.put((future, given))
        else:
            self._do(future, given)
        return future

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None and not self._stopped.is_set():
            self._do(*task)

    def _do(self, future: Future[Made], given: Given) -> None:
        try:
            future.set_result(self._work(given))
        except BaseException as error:  # noqa: BLE001 - the future must pass it on, whatever it is
            future.set_exception(error)


class Quiet:
    """Lets the networks of a run wait while values are tried for one of them."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self._alone = threading.Lock()

    def wait(self) -> None:
        """Wait until no values are being tried."""
        self._open.wait()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others waiting while the context is open; those that run already go on."""
        with self._alone:
            self._open.clear()
            try:
                yield
            finally:
                self._open.set()


class BusyClock:
    """A context that several threads may enter; adds up the time in which at least one is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._since = self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Seconds with at least one thread inside, until now."""
        with self._lock:
            return self._seconds + (perf_counter() - self._since if self._inside else 0.0)

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._since = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._seconds += perf_counter() - self._since
