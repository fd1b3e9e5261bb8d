"""Engines for the host's tests, loaded by name in the child: they crash, hang, refuse, or work."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import time
from typing import Any

import numpy as np

from quadrat.engines.fake import FakeEngine
from quadrat.errors import DeviceError, EngineRunError


def _fake(package: Any, settings: Any) -> FakeEngine:
    return FakeEngine(package.num_classes, dict(package.outputs), settings)


def working(package: Any, settings: Any, log: logging.Logger) -> Any:
    """Start the fake engine and say a word."""
    log.info("hello from %d", os.getpid())
    return _fake(package, settings)


def crashing_start(package: Any, settings: Any, log: logging.Logger) -> Any:
    """Die of SIGSEGV."""
    ctypes.string_at(0)


def leaving_start(package: Any, settings: Any, log: logging.Logger) -> Any:
    """Leave with a status and a last word."""
    sys.stderr.write("first word\nlast word\n")
    sys.exit(7)


def slow_start(package: Any, settings: Any, log: logging.Logger) -> Any:
    """Never be ready."""
    time.sleep(3600)


def refusing_start(package: Any, settings: Any, log: logging.Logger) -> Any:
    """Refuse with one of our errors."""
    raise DeviceError("no flux", where="capacitor", hint="Wait for lightning")


def moody(package: Any, settings: Any, log: logging.Logger) -> Any:
    """Do on a batch what its first value says: 1 crash, 2 sleep, 3 refuse, else work."""
    return _Moody(_fake(package, settings))


class _Moody:
    def __init__(self, inner: FakeEngine) -> None:
        self._inner = inner
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
        return self._inner.run(batch, outputs)
