"""Threads beside a stage's own, for work of which several pieces are done at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from time import perf_counter
from types import TracebackType
from typing import Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


class Workers(Generic[Given, Made]):
    """`count` threads that do `work`, or with 0 none: then the caller does it when it submits.

    They are daemons: a network that hangs must not keep a process alive that was told to end. Leaving the context
    waits for the work under way; what waits for its turn is never begun.
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
            thread.start()

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
        """Have it done; what it raises is raised by the future's result."""
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
        except BaseException as error:  # noqa: BLE001 - whatever it is, who waits for the future must hear of it
            future.set_exception(error)


class BusyClock:
    """Adds up the time in which anyone is inside; a context that several threads may be in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._since = self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Seconds with anyone inside, until now."""
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
