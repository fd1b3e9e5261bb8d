"""SIGINT and SIGTERM as an exit that runs every `finally`, their deferral, and SIGHUP, which changes nothing.

Without a handler, the first process of a container ignores SIGTERM, and Python answers SIGINT with a traceback. A
handler that raises is not enough: Python discards exceptions in finalisers, and C code discards them in callbacks.
The exit is therefore raised again until the process leaves. This module imports little, so that a program can install
the handlers before it imports anything else.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

PERIOD_S = 0.2
"""Seconds between two looks at whether an exit is still on its way."""
ENDINGS = (signal.SIGINT, signal.SIGTERM)


class Interrupt(SystemExit):
    """The exit that a signal asks for. It supports weak references, which a plain SystemExit does not."""


class _Exit:
    """The exit of this process: the signal that asked for it first, and the exception while it exists."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Wait for the first signal."""
        self.number = 0
        self.left = threading.Event()
        self._raised: weakref.ref[Interrupt] | None = None

    @property
    def on_its_way(self) -> bool:
        """True while the exception propagates or is handled; False if it was discarded, or not raised yet."""
        return self._raised is not None and self._raised() is not None

    def make(self) -> Interrupt:
        """Make the exception. Its caller must not keep it: with a reference in a frame it would never be freed."""
        error = Interrupt(128 + self.number)
        self._raised = weakref.ref(error)
        return error

    def repeat(self) -> None:
        """Send the signal again whenever the exit was discarded, until the process leaves."""
        left = self.left
        while not left.wait(PERIOD_S):
            if not self.on_its_way:
                os.kill(os.getpid(), self.number)


_EXIT = _Exit()


def install() -> None:
    """Exit with 128 plus the number of the signal at SIGINT and SIGTERM, through every `finally`.

    A closed terminal (SIGHUP) ends neither the process nor its children: results do not depend on it. Call this in the
    main thread; call `leave` when nothing is left to do.
    """
    if _EXIT.left.is_set():
        _EXIT.begin()
    for ending in ENDINGS:
        signal.signal(ending, _raise)
    if hasattr(signal, "SIGHUP"):  # not on Windows
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.unraisablehook = _report_unraisable


def leave() -> None:
    """Do not raise the exit again: the program has done all that it does.

    Later signals are ignored: while Python ends, they would kill the process, and its status would not be that of
    its results.
    """
    _EXIT.left.set()
    if threading.current_thread() is threading.main_thread():
        for ending in ENDINGS:
            signal.signal(ending, signal.SIG_IGN)


@contextmanager
def signals_deferred() -> Iterator[list[int]]:
    """Defer SIGINT and SIGTERM until the body is done; give the list of those that came.

    Outside the main thread, which gets all signals, do nothing.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    found: dict[int, Any] = {number: signal.getsignal(number) for number in ENDINGS}
    before = {number: handler for number, handler in found.items() if handler is not None}
    for number in before:
        signal.signal(number, lambda number, _: caught.append(number))
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            os.kill(os.getpid(), caught[0])  # call the original handler, also after an error


def _raise(number: int, frame: FrameType | None) -> None:
    """Raise the exit, unless it is on its way; later if a module is being imported, which could not be repeated."""
    if _EXIT.left.is_set() or _EXIT.on_its_way:
        return
    if not _EXIT.number:
        _EXIT.number = number
        threading.Thread(target=_EXIT.repeat, name="quadrat-exit", daemon=True).start()
    if not _imports(frame):
        raise _EXIT.make()


def _imports(frame: FrameType | None) -> bool:
    """Return True if the frame is within an import: an exception there can be lost, or leave half a module."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _report_unraisable(lost: sys.UnraisableHookArgs) -> None:
    """Report an exception that Python discards, unless it is the exit, which is raised again.

    A signal that arrives while `leave` runs is reported by Python as lost; it is late.
    """
    if not (isinstance(lost.exc_value, Interrupt) or _EXIT.left.is_set()):
        sys.__unraisablehook__(lost)
