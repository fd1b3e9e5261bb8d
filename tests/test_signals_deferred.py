"""A signal waits until a step is complete."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from quadrat.interrupts import signals_deferred


@pytest.fixture
def leaves() -> Iterator[object]:
    """A handler that ends the process as a platform's does."""
    before = signal.getsignal(signal.SIGTERM)

    def leave(*_: object) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, leave)
    yield leave
    signal.signal(signal.SIGTERM, before)


def test_a_frame_is_in_all_tables_or_in_none(leaves: object) -> None:
    """A signal in the middle of its rows waits until they are written, and is obeyed then; handlers stay as they were."""
    done: list[str] = []

    def write() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        done.append("rows")

    with pytest.raises(SystemExit), signals_deferred():
        write()
    assert signal.getsignal(signal.SIGTERM) is leaves
    with signals_deferred():
        done.append("more rows")
    assert done == ["rows", "more rows"]


def test_handlers_stay_as_they_were_after_an_error(leaves: object) -> None:
    """An error in the step passes, and signals are obeyed again."""
    with pytest.raises(ZeroDivisionError), signals_deferred():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) is leaves
    with pytest.raises(SystemExit):
        os.kill(os.getpid(), signal.SIGTERM)


def test_another_thread_gets_no_signals() -> None:
    """Only the main thread may set handlers: elsewhere the step simply runs."""
    found: list[object] = []

    def work() -> None:
        with signals_deferred():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def test_of_several_signals_the_first_is_obeyed() -> None:
    """Ctrl-C stays Ctrl-C, whatever comes after it in the same step."""
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, lambda number, _: came.append(number))
        for first, second in ((signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)):
            came.clear()
            with signals_deferred():
                os.kill(os.getpid(), first)
                os.kill(os.getpid(), second)
                assert [] == came
            assert [first] == came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
