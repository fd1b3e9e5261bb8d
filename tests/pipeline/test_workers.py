"""Work in threads beside a stage's own is told, stopped and timed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from quadrat.pipeline.workers import BusyClock, Workers

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
    """Whatever is done first, a future gives what its own work made, or raises what that raised."""

    def work(number: int) -> int:
        time.sleep(0.01 * (5 - number))
        if number == 2:
            raise ValueError("two")
        return number * number

    with Workers(work, count) as workers:
        futures = [workers.submit(number) for number in range(5)]
        assert [futures[n].result() for n in (0, 1, 3, 4)] == [0, 1, 9, 16]
        with pytest.raises(ValueError, match="two"):
            futures[2].result()


def test_leaving_begins_nothing_more() -> None:
    """What is under way is waited for; what waits for its turn is not begun, however much there is."""
    begun: list[int] = []
    go = threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        go.wait()

    workers = Workers(work, 2)
    with workers:
        for number in range(8):
            workers.submit(number)
        while len(begun) < 2:
            time.sleep(0.001)
        threading.Timer(0.05, go.set).start()

    assert sorted(begun) == [0, 1]


def test_a_hanging_network_keeps_no_process_alive() -> None:
    """The threads are daemons, unlike those of an executor, which an interpreter waits for at its end."""
    argv = [sys.executable, "-c", HANGING]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode, done.stdout) == (0, "ends\n"), done.stderr


def test_time_with_two_inside_counts_once() -> None:
    """A clock tells how long anyone was inside, and goes on while someone is."""
    clock = BusyClock()
    begin = time.perf_counter()
    with clock:
        time.sleep(0.03)
        with clock:
            time.sleep(0.03)
        assert clock.seconds >= 0.06
    inside = time.perf_counter() - begin
    time.sleep(0.05)

    assert 0.06 <= clock.seconds <= inside
