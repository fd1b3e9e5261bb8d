"""Room 6: run networks on arrays. Engines know nothing of images or classes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from time import monotonic
from typing import Any, cast

from quadrat.engines.agreement import Agreement
from quadrat.engines.channel import Child, can_host
from quadrat.engines.common import OTHER_ENGINE, need_gpu
from quadrat.engines.host import HostedEngine
from quadrat.engines.limits import Limits
from quadrat.errors import (
    DeviceError,
    EngineMemoryError,
    EngineTimeoutError,
    EngineUnavailableError,
    GraphError,
    QuadratError,
)
from quadrat.parameters import EngineSettings
from quadrat.protocols import Engine
from quadrat.types import ModelPackage

ENGINES = {
    "openvino": "quadrat.engines.openvino:start",
    "onnx": "quadrat.engines.onnx:start",
    "paddle": "quadrat.engines.paddle:start",
    "fake": "quadrat.engines.fake:start",
}
"""All engines by name; `fake` is available to code, but not as a value of the parameter."""

ORDER = {"cpu": ("openvino", "onnx", "paddle"), "gpu": ("onnx", "paddle")}
"""Engines that `engine=auto` tries in order, by device."""

CONCURRENT = ("openvino",)
"""Engines that can run several batches at once."""

HOSTED = {
    "openvino": "quadrat.engines.openvino:load",
    "onnx": "quadrat.engines.onnx:start",
}
"""What starts an engine inside a child process; paddle always has one, and fake needs none."""

Start = Callable[..., Engine]


@dataclass(slots=True)
class Isolation:
    """Runs each engine in a child process with limits; `spare` is a child that was started in advance, or None."""

    limits: Limits = field(default_factory=Limits)
    spare: Child | None = None

    def prepare(self, settings: EngineSettings, at_once: int) -> None:
        """Start a child that loads the library which is tried first, while the caller is still busy."""
        soon = {"openvino": "quadrat.engines.openvino:shared_core", "onnx": "quadrat.engines.onnx:library"}
        first = ORDER[settings.device][0] if settings.engine == "auto" else settings.engine
        if first in HOSTED:
            self.end()
            try:
                self.spare = Child(sys.executable, at_once, soon[first])
            except OSError:  # the engine reports it when it starts
                self.spare = None

    def take(self) -> Child | None:
        """Return the spare child; there is none afterwards."""
        spare, self.spare = self.spare, None
        return spare

    def end(self) -> None:
        """End the spare child if nobody took it."""
        if spare := self.take():
            spare.kill()
            spare.end()


def isolation(limits: Limits) -> Isolation | None:
    """Return how engines are isolated, or None on a system where they cannot be."""
    return Isolation(limits) if can_host() else None


def start(
    package: ModelPackage,
    settings: EngineSettings,
    log: logging.Logger,
    at_once: int = 1,
    isolated: Isolation | None = None,
    *,
    agreement: Agreement | None = None,
) -> Engine:
    """Start the requested engine, or with `auto` the first that can run this model on this device.

    The engine runs up to `at_once` batches at once if it supports that; its `at_once` attribute is the actual
    number. With `isolated`, it runs in a child process. With `agreement`, `auto` takes no engine that disagrees with the
    archive's self-test, and for a requested one a warning is logged. Raises the errors of the requested engine. With `auto`, if
    no engine starts, raises GraphError if an engine could not read the network, EngineTimeoutError or
    EngineMemoryError if one hit a limit, DeviceError if all lack the device or precision, else
    EngineUnavailableError; the message lists the reason for each engine.
    """
    if settings.device == "gpu" and settings.engine != "fake":
        need_gpu()
    if settings.engine != "auto":
        try:
            engine = _start_one(settings.engine, package, settings, log, at_once=at_once, isolated=isolated)
        except EngineUnavailableError as error:
            where = error.where or f"engine {settings.engine}, {package.name}"
            raise EngineUnavailableError(error.what, where=where, hint=error.hint) from error
        if agreement is not None and (reason := agreement.reason(engine)):
            log.warning("engine %s gives wrong results: %s. Use --engine auto", engine.name, reason)
        return engine
    reasons: dict[str, QuadratError] = {}
    names = ORDER[settings.device]
    begin = monotonic()
    for name in names:
        share = _with_share(isolated, settings.device, monotonic() - begin, last=name == names[-1])
        try:
            engine = _start_one(name, package, settings, log, at_once=at_once, isolated=share)
            if agreement is None or not (reason := agreement.reason(engine)):
                return engine
            engine.close()
            raise EngineUnavailableError(f"its results are wrong: {reason}", hint=OTHER_ENGINE)
        except QuadratError as error:
            said = error.at(error.where, "" if error.hint == OTHER_ENGINE else error.hint)
            reasons[name] = said
            log.info("engine %s cannot start: %s", name, said.line)
    raise _combine_reasons(package, settings, reasons)


def _with_share(isolated: Isolation | None, device: str, spent: float, *, last: bool) -> Isolation | None:
    """Give the next engine half of the time that is left to read the network, and the last one all of it."""
    if isolated is None:
        return None
    left = max(1.0, isolated.limits.loading(device) - spent)
    limits = replace(isolated.limits, load_s=left if last else left / 2)
    return Isolation(limits, isolated.take())


def _start_one(
    name: str,
    package: ModelPackage,
    settings: EngineSettings,
    log: logging.Logger,
    *,
    at_once: int,
    isolated: Isolation | None,
) -> Engine:
    if name not in ENGINES:
        raise EngineUnavailableError(
            f"unknown engine {name!r}", where="engine", hint="Use one of " + ", ".join(ORDER["cpu"])
        )
    several = at_once if name in CONCURRENT else 1
    if isolated is not None and name in HOSTED:
        return HostedEngine(
            HOSTED[name],
            package,
            settings,
            log,
            limits=isolated.limits,
            at_once=several,
            spare=isolated.take(),
        )
    if isolated is not None:
        isolated.end()
    module, attribute = ENGINES[name].split(":")
    make = cast(Start, getattr(import_module(module), attribute))
    options: dict[str, Any] = {"limits": isolated.limits} if isolated is not None and name == "paddle" else {}
    return make(package, settings, log, *((several,) if name in CONCURRENT else ()), **options)


def _combine_reasons(
    package: ModelPackage, settings: EngineSettings, reasons: dict[str, QuadratError]
) -> QuadratError:
    """Combine the reasons into one error, whose class states what is at fault."""
    listed = "; ".join(f"{name}: {error}" for name, error in reasons.items())
    kind: type[QuadratError]
    if any(isinstance(error, GraphError) for error in reasons.values()):
        kind, text = GraphError, "the network cannot be read"
    elif limit := next(
        (e for e in reasons.values() if isinstance(e, EngineTimeoutError | EngineMemoryError)), None
    ):
        kind, text = type(limit), "no engine could read the network within its limits"
    elif all(isinstance(error, DeviceError) for error in reasons.values()):
        kind, text = DeviceError, f"no engine supports {settings.precision} on this {settings.device}"
    else:
        kind, text = EngineUnavailableError, f"no engine can run this model on the {settings.device}"
    return kind(f"{text} ({listed})", where=package.name)
