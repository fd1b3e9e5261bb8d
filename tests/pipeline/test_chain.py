"""The chain's laws: order, bounds, pace, and that nothing outlives a crash."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.pipeline.chain import Stage, run_chain
from tests.waiting import repeated, wait_until, wait_until_still

BOUND = 7
"""Items on their way through two stages with queues of one: in each queue and each stage, and in the source's hands."""


def each(function: Any) -> Any:
    """Make a stage's work of a function of one item."""

    def work(items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            yield function(item)

    return work


def chain_threads() -> list[threading.Thread]:
    """Threads of chains that are still alive."""
    return [t for t in threading.enumerate() if t.name.startswith("quadrat-")]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(), max_size=30), st.integers(1, 4))
def test_order_is_kept(numbers: list[int], ahead: int) -> None:
    """What goes in comes out in the same order, whatever the queues hold."""
    stages = [Stage("a", each(lambda n: n + 1), ahead), Stage("b", each(lambda n: n * 2), ahead)]

    assert [(n + 1) * 2 for n in numbers] == list(run_chain(numbers, stages))


def test_no_more_items_are_taken_than_the_queues_hold() -> None:
    """A slow caller holds the source back, so memory does not grow with the number of items."""
    taken_so_far = [0]

    def items() -> Iterator[int]:
        for n in range(1000):
            taken_so_far[0] = n + 1
            yield n

    stages = [Stage("a", each(lambda n: n)), Stage("b", each(lambda n: n))]
    most = 0
    for came, _ in enumerate(run_chain(items(), stages), 1):
        most = max(most, taken_so_far[0] - came)

    assert most <= BOUND


@pytest.mark.parametrize("where", ["source", "first", "last"])
def test_a_crash_ends_the_chain_with_its_own_error(where: str) -> None:
    """The error of any stage, or of the source, is raised to the caller after the items before it."""

    def fail(name: str) -> Any:
        def step(n: int) -> int:
            if name == where and n == 3:
                raise ZeroDivisionError(name)
            return n

        return step

    stages = [Stage("a", each(fail("first"))), Stage("b", each(fail("last")))]
    got: list[int] = []

    with pytest.raises(ZeroDivisionError, match=where):
        got.extend(run_chain(map(fail("source"), range(10)), stages))

    assert chain_threads() == []


def test_items_before_a_crash_arrive() -> None:
    """A crash loses no finished item."""
    got: list[int] = []

    def step(n: int) -> int:
        if n == 5:
            raise ValueError("five")
        return n

    with pytest.raises(ValueError, match="five"):
        got.extend(run_chain(range(10), [Stage("a", each(step), 1), Stage("b", each(lambda n: n), 1)]))

    assert [0, 1, 2, 3, 4] == got


@pytest.mark.parametrize("status", [0, 255])
def test_a_library_cannot_end_the_process(status: int) -> None:
    """An SDK that exits inside a stage ends the run with an error, be its status that of success."""

    def leave(n: int) -> int:
        raise SystemExit(status)

    with pytest.raises(RuntimeError, match="tried to end the process"):
        list(run_chain([1], [Stage("a", each(leave))]))


def test_closing_early_stops_every_thread() -> None:
    """A caller who has seen enough leaves no thread behind."""
    stream = run_chain(count(), [Stage("a", each(lambda n: n)), Stage("b", each(lambda n: n))])
    next(stream)
    stream.close()

    assert chain_threads() == []


def naps(seconds: float) -> Any:
    """Make a stage's work that sleeps for each item."""
    return each(lambda n: (time.sleep(seconds), n)[1])


def test_all_stages_work_at_once() -> None:
    """Law: stage k works on an item while the stage before it works on the next one: the slowest sets the pace."""
    stages = 5
    meet = threading.Barrier(stages)

    def work(place: int) -> Any:
        def step(n: int) -> int:
            if n == stages - 1 - place:  # each stage holds another item by then
                meet.wait(30)
            return n

        return each(step)

    assert list(range(10)) == list(run_chain(range(10), [Stage(str(k), work(k)) for k in range(stages)]))


@repeated
def test_times_show_the_bottleneck() -> None:
    """A stage behind the slowest one starves, a stage before it is blocked, and waiting is not working."""
    first, slow, last = (Stage(str(s), naps(s)) for s in (0.001, 0.02, 0.001))
    list(run_chain(range(20), [first, slow, last]))

    assert first.blocked_s > 0.5 * slow.busy_s
    assert last.starved_s > 0.5 * slow.busy_s
    assert first.busy_s + last.busy_s < 0.5 * slow.busy_s
    assert slow.starved_s + slow.blocked_s < 0.5 * slow.busy_s


@repeated
def test_busy_time_leaves_out_waiting() -> None:
    """A stage that waits for a slow source is not counted as busy."""
    slow = (time.sleep(0.02) or n for n in range(10))
    stage = Stage("a", each(lambda n: n))
    list(run_chain(slow, [stage]))

    assert stage.busy_s < 0.05
    assert stage.starved_s > 0.15


@pytest.mark.parametrize("ending", ["whole", "crash before", "crash behind", "closed"])
def test_every_stage_can_finish_its_files(ending: str) -> None:
    """Whatever ends the chain, the `finally` of every stage has run when the caller goes on."""
    finished: list[str] = []

    def writer(name: str) -> Any:
        def work(items: Iterator[Any]) -> Iterator[Any]:
            try:
                yield from items
            finally:
                finished.append(name)

        return work

    def fails(n: int) -> int:
        if n == 5:
            raise ValueError("five")
        return n

    crash = Stage("crash", each(fails))
    stages = [Stage("a", writer("a")), Stage("b", writer("b"))]
    if ending.startswith("crash"):
        stages.insert(0 if ending == "crash before" else 2, crash)
    stream = run_chain(range(10), stages, Stage("last", writer("last")))
    if ending == "closed":
        next(stream)
        stream.close()
    elif ending == "whole":
        list(stream)
    else:
        with pytest.raises(ValueError, match="five"):
            list(stream)

    assert ["a", "b", "last"] == sorted(finished)


def test_a_crash_releases_stages_that_wait_for_each_other() -> None:
    """Stages with full and empty queues all end when one in the middle crashes, though the items have no end."""
    stages = [
        Stage("a", each(lambda n: n)),
        Stage("b", each(lambda n: 1 // (3 - n))),
        Stage("c", each(lambda n: n)),
    ]
    with pytest.raises(ZeroDivisionError):
        list(run_chain(count(), stages))

    assert chain_threads() == []


def test_the_last_stage_may_run_in_the_callers_thread() -> None:
    """A stage given as `last` has no thread, and its time is measured apart from that of the others."""
    threads: list[str] = []
    last = Stage("last", each(lambda n: (threads.append(threading.current_thread().name), time.sleep(0.01))))
    list(run_chain(range(5), [Stage("a", each(lambda n: n))], last))

    assert {threading.current_thread().name} == set(threads)
    assert last.busy_s >= 0.05


def test_a_stage_has_the_time_that_it_needs_to_finish_its_files() -> None:
    """A chain that ends early waits for each stage up to its patience, and no longer."""
    for patience, patient in ((0.05, False), (30.0, True)):
        begun, go, finished = threading.Event(), threading.Event(), threading.Event()

        def work(
            items: Iterator[Any], begun: Any = begun, go: Any = go, finished: Any = finished
        ) -> Iterator[Any]:
            try:
                yield from items
            finally:
                begun.set()
                go.wait(30)
                finished.set()

        def release(begun: Any = begun, go: Any = go) -> None:
            begun.wait(30)
            go.set()

        stream: Any = run_chain(count(), [Stage("slow", work, patience_s=patience)])
        next(stream)
        if patient:
            threading.Thread(target=release).start()
        stream.close()
        assert finished.is_set() is patient
        go.set()
    for thread in chain_threads():
        thread.join()


def test_another_thread_can_end_a_wait_for_the_next_item() -> None:
    """Setting `stop` ends the iteration as if there were no more items, and leaves no thread."""
    stop, over = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 1
        stop.set()  # as another thread would, while the caller waits for the second item
        over.wait(60)

    found = run_chain(items(), [Stage("a", each(lambda n: n), patience_s=0.0)], stop=stop)

    assert [1] == list(found)
    over.set()
    wait_until(lambda: not chain_threads(), "the end of the threads")


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_stage_is_ahead_by_its_queue_and_the_item_in_its_hands(ahead: int) -> None:
    """A caller that takes one item and pauses lets the stage fill its queue, and no more."""
    taken_so_far = [0]

    def items() -> Iterator[int]:
        for n in count():
            taken_so_far[0] = n + 1
            yield n

    stream = run_chain(items(), [Stage("a", each(lambda n: n), ahead)])
    next(stream)
    wait_until(lambda: taken_so_far[0] >= ahead + 2, "a full queue")
    assert ahead + 2 == wait_until_still(lambda: taken_so_far[0])
    stream.close()


def test_a_stage_that_waits_for_an_item_ends_with_the_chain() -> None:
    """Its queue is empty and stays so, because the stage before it is busy; it ends all the same."""
    leave = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        leave.wait(30)

    stages = [Stage("busy", each(lambda n: n), patience_s=0.0), Stage("waits", each(lambda n: n))]
    stream = run_chain(items(), stages)
    next(stream)
    stream.close()

    (busy,) = chain_threads()
    assert "quadrat-busy" == busy.name
    leave.set()
    busy.join(30)
