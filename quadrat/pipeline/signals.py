"""Deferral of signals until a step is complete."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Defer SIGINT and SIGTERM until the body is done. Outside the main thread, which gets them, do nothing."""
    caught: list[tuple[int, Any]] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in found.items() if handler is not None}
    for number in before:
        signal.signal(number, lambda *details: caught.append(details))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        os.kill(os.getpid(), caught[0][0])  # call the original handler
