"""Engines for tests of the host, loaded by name in the child: they crash, hang, fail or work."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from typing import Any

import numpy as np

from quadrat.engines.fake import FakeEngine
from quadrat.errors import DeviceError, EngineRunError


def _fake(package: Any, settings: Any) -> FakeEngine:
    return FakeEngine(package.num_classes, dict(package.outputs), settings)


def working(package: Any, settings: Any, log: logging.Logger) -> Any:
    """Start the fake engine and print a line."""
    log.info("hello from %d", os.getpid())
    return _fake(package, settings)


def crashing_start(package: Any, settings: Any, log: logging.Logger) -> Any:
    """Die of SIGSEGV."""
    ctypes.string_at(0)


def leaving_start(package: Any, settings: Any, log: logging.Logger) -> Any:
    """Exit with a status after printing a line."""
    sys.stderr.write("first word\nlast word\n")
    sys.exit(7)


def slow_start(package: Any, settings: Any, log: logging.Logger) -> Any:
    """Hang."""
    time.sleep(3600)


def refusing_start(package: Any, settings: Any, log: logging.Logger) -> Any:
    """Raise a QuadratError."""
    raise DeviceError("no flux", where="capacitor", hint="Wait for lightning")


def moody(package: Any, settings: Any, log: logging.Logger, at_once: int = 1) -> Any:
    """Behave by the first value of a batch: 1 crash, 2 sleep, 3 raise, 4 take memory, 5 give texts, 6 nap, else work."""
    return _Moody(_fake(package, settings), at_once)


class _Moody:
    def __init__(self, inner: FakeEngine, at_once: int) -> None:
        self._inner = inner
        self.at_once = at_once
        self.name, self.version = "moody", "0"
        self.device, self.precision, self.outputs = inner.device, inner.precision, inner.outputs

    def run(self, batch: Any, outputs: Any) -> Any:
        mood = int(np.ravel(batch)[0])
        if mood == 1:
            ctypes.string_at(0)
        if mood == 2:
            time.sleep(3600)
        if mood == 3:
            raise EngineRunError("not in the mood", where="moody")
        if mood == 4:
            kept = [np.ones(10**7) for _ in range(100)]
            time.sleep(3600 + len(kept))
        if mood == 5:
            return {"labels": np.array(["sand"])}
        if mood == 6:
            time.sleep(0.2)
        return self._inner.run(batch, outputs)


def greedy(package: Any, settings: Any, log: logging.Logger, at_once: int = 1) -> Any:
    """Be killed by a batch of four or more, as the kernel does if memory runs out; refuse to start with 3 threads."""
    if settings.cpu_threads == 3:
        raise EngineRunError("not with 3 threads", where="greedy")
    return _Greedy(_fake(package, settings), at_once)


class _Greedy(_Moody):
    def run(self, batch: Any, outputs: Any) -> Any:
        if len(batch) >= 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._inner.run(batch, outputs)
