"""Child processes: they start and end whatever signals come."""

from __future__ import annotations

import signal
import sys
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess

from quadrat.interrupts import signals_deferred

JOIN_S = 10.0
"""Time for a child to end by itself before it is killed."""
ENDING = (signal.SIGINT, signal.SIGTERM)
"""Signals that the parent answers, also for its children."""


def start(process: BaseProcess) -> None:
    """Start a child with signals blocked: Ctrl+C goes to every process, and the child is not ready for it yet."""
    resource_tracker.ensure_running()  # if it were started later, it would unblock them
    with signals_deferred():
        if sys.platform == "win32":  # there, children get no signals
            process.start()
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_signals() -> None:
    """Ignore the signals that were blocked at the start; for the child itself."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def end(process: BaseProcess) -> None:
    """Wait for a child to end, and kill one that does not; do nothing for one that was never started."""
    if process.pid is None:
        return
    process.join(JOIN_S)
    if process.is_alive():
        process.kill()
        process.join()
