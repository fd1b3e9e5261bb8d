"""Work in threads beside a stage's own is answered, stopped and timed."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from quadrat.errors import EngineUnavailableError
from quadrat.pipeline.chain import Stage, run_chain
from quadrat.pipeline.workers import BusyClock, Quiet, Workers

ROOT = Path(__file__).resolve().parent.parent.parent
HANGING = """
import threading
from quadrat.pipeline.workers import Workers
begun = threading.Event()
def hang(_):
    begun.set()
    threading.Event().wait()
Workers(hang, 2).submit(1)
begun.wait()
print("ends")
"""


@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_future_has_its_own_answer(count: int) -> None:
    """A future gives what its own work made, or raises what that raised."""

    def work(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        return number * number

    with Workers(work, count) as workers:
        futures = [workers.submit(number) for number in range(5)]
        assert [futures[n].result() for n in (0, 1, 3, 4)] == [0, 1, 9, 16]
        with pytest.raises(ValueError, match="two"):
            futures[2].result()


def test_whatever_is_done_first_a_future_has_its_own_answer() -> None:
    """The last that was submitted is done first."""
    done = [threading.Event() for _ in range(3)]

    def work(number: int) -> int:
        if number < 2:
            assert done[number + 1].wait(30)
        done[number].set()
        return number

    with Workers(work, 3) as workers:
        futures = [workers.submit(number) for number in range(3)]
        assert [0, 1, 2] == [future.result() for future in futures]


def test_leaving_begins_nothing_more() -> None:
    """What is under way is waited for; what waits for its turn is not begun, however much there is."""
    begun: list[int] = []
    both, go = threading.Barrier(3), threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        both.wait(30)
        go.wait(30)

    workers = Workers(work, 2)
    with workers:
        for number in range(8):
            workers.submit(number)
        both.wait(30)
        workers._stopped = _Releasing(go)  # the two under way end once leaving has begun

    assert sorted(begun) == [0, 1]


class _Releasing(threading.Event):
    """An event that sets another one when it is set."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def set(self) -> None:
        """Set both."""
        super().set()
        self._other.set()


@pytest.mark.process
def test_a_hanging_network_keeps_no_process_alive() -> None:
    """The threads are daemons, unlike those of an executor, which an interpreter waits for at its end."""
    argv = [sys.executable, "-c", HANGING]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode, done.stdout) == (0, "ends\n"), done.stderr


def test_time_with_two_inside_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock gives how long anyone was inside, and goes on while someone is."""
    now = [0.0]
    monkeypatch.setattr("quadrat.pipeline.workers.perf_counter", lambda: now[0])
    clock = BusyClock()
    with clock:
        now[0] = 3.0
        with clock:
            now[0] = 5.0
        assert clock.seconds == 5.0
        now[0] = 6.0
    now[0] = 100.0
    assert clock.seconds == 6.0
    with clock:
        now[0] = 101.0
    assert clock.seconds == 7.0


def test_leaving_waits_for_the_work_under_way() -> None:
    """Nothing of it happens after the context."""
    begun, done = threading.Event(), []

    def work(number: int) -> None:
        begun.set()
        threading.Event().wait(0.2)
        done.append(number)

    with Workers(work, 1) as workers:
        workers.submit(7)
        begun.wait(30)
    assert [7] == done


def test_a_system_without_threads_is_an_error_with_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not reported as a fault of quadrat."""

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.raises(EngineUnavailableError, match="no more threads"), Workers(lambda given: given, 1):
        pass
    with pytest.raises(EngineUnavailableError, match="no more threads"):
        list(run_chain([1], [Stage("a", iter)]))


def test_others_wait_while_one_needs_quiet() -> None:
    """They go on when it is done."""
    quiet, passed = Quiet(), threading.Event()

    def other() -> None:
        quiet.wait()
        passed.set()

    thread = threading.Thread(target=other)
    with quiet.alone():
        thread.start()
        assert not passed.is_set()
    thread.join(30)
    assert passed.is_set()
    quiet.wait()
