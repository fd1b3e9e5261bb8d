"""Stages in threads, joined by short queues: the slowest stage sets the pace, and a crash in one ends them all.

        items ->[ read ]-> queue ->[ infer ]-> queue -> caller

A stage is a generator over a generator, run by one thread, so items stay in order without sorting. A queue holds at
most `ahead` items, so memory does not grow with the number of items. However the chain ends, the generator of every
stage is closed; a stage finishes its files in its `finally`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from time import perf_counter
from typing import Any

from quadrat.pipeline.workers import start_thread

StageWork = Callable[[Iterator[Any]], Iterator[Any]]

POLL_S = 0.05
JOIN_S = 5.0


@dataclass(slots=True)
class Stage:
    """One step of the chain.

    Times are in seconds: `busy_s` working, `starved_s` waiting for items, `blocked_s` waiting for the next stage to
    take one. A chain that ends early waits `patience_s` for the stage to finish its files.
    """

    name: str
    work: StageWork
    ahead: int = 1
    patience_s: float = JOIN_S
    busy_s: float = field(default=0.0, init=False)
    starved_s: float = field(default=0.0, init=False)
    blocked_s: float = field(default=0.0, init=False)


class _Stopped(BaseException):
    """Unwinds the stages of a chain that was closed. No Exception, so that no stage handles it as an error."""


class _Crash:
    def __init__(self, error: Exception) -> None:
        self.error = error


_END = object()


def run_chain(
    items: Iterable[Any],
    stages: Sequence[Stage],
    last: Stage | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Any]:
    """Yield what the last stage yields, in order, while all stages work at once.

    `last` is a stage that runs in the caller's thread as it takes items, for work so small that another thread would
    cost more than it gains. An exception in a stage, or in `items`, is raised here after the items before it. Closing
    this generator stops every stage once it is done with its current item; so does setting `stop`, in any thread.
    """
    stop = stop or threading.Event()
    stream: Iterator[Any] = iter(items)
    threads: list[threading.Thread] = []
    for stage in stages:
        queue: Queue[Any] = Queue(stage.ahead)
        thread = threading.Thread(
            target=_pump, args=(stage, stream, queue, stop), name=f"quadrat-{stage.name}", daemon=True
        )
        threads.append(thread)
        stream = _from_queue(queue, stop)
    try:
        for thread in threads:
            start_thread(thread)
    except BaseException:
        stop.set()
        raise
    tail = stream if last is None else _timed(last, stream)
    try:
        yield from tail
    except _Stopped:  # whoever set `stop` wants no more items
        return
    finally:
        stop.set()
        _close(tail)
        for thread, stage in zip(threads, stages, strict=True):
            thread.join(stage.patience_s)


def _timed(stage: Stage, upstream: Iterator[Any]) -> Iterator[Any]:
    """Run a stage's work and measure its own time apart from the time it waits; close it in any case."""
    waited = _Waiting(upstream)
    results = stage.work(waited)
    try:
        while True:
            begin, waited.seconds = perf_counter(), 0.0
            try:
                item = next(results, _END)
            finally:
                stage.starved_s += waited.seconds
                stage.busy_s += perf_counter() - begin - waited.seconds
            if item is _END:
                return
            yield item
    finally:
        _close(results)


def _pump(stage: Stage, upstream: Iterator[Any], queue: Queue[Any], stop: threading.Event) -> None:
    """Run one stage until its input ends, it crashes, or the chain is stopped."""
    results = _timed(stage, upstream)
    try:
        for item in results:
            begin = perf_counter()
            queue.maxsize = stage.ahead  # it may grow with the size of batches
            _put(queue, item, stop)
            stage.blocked_s += perf_counter() - begin
        _put(queue, _END, stop)
    except _Stopped:
        pass
    except BaseException as error:  # noqa: BLE001 - the caller must get it, whatever it is
        if not isinstance(error, Exception):  # an exit with status 0 would look like a finished order
            error = RuntimeError(f"a library tried to end the process ({error!r})")
        with suppress(_Stopped):
            _put(queue, _Crash(error), stop)
    finally:
        with suppress(Exception):  # the chain has ended; an error while closing helps nobody
            _close(results)


def _close(iterator: Iterator[Any]) -> None:
    """Close a generator, so that its `finally` runs now and in this thread."""
    close = getattr(iterator, "close", None)
    if close is not None:
        close()


class _Waiting:
    """An iterator that adds up the time that its consumer waits for it."""

    def __init__(self, upstream: Iterator[Any]) -> None:
        self._upstream = upstream
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        begin = perf_counter()
        try:
            return next(self._upstream)
        finally:
            self.seconds += perf_counter() - begin


def _put(queue: Queue[Any], item: Any, stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(Full):
            queue.put(item, timeout=POLL_S)
            return
    raise _Stopped


def _from_queue(queue: Queue[Any], stop: threading.Event) -> Iterator[Any]:
    while True:
        try:
            item = queue.get(timeout=POLL_S)
        except Empty:
            if stop.is_set():
                raise _Stopped from None
            continue
        if item is _END:
            return
        if isinstance(item, _Crash):
            raise item.error
        yield item
