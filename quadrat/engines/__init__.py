"""Room 6: run networks on arrays. Engines know nothing of images or classes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import cast

from quadrat.engines.common import OTHER_ENGINE, need_gpu
from quadrat.errors import DeviceError, EngineUnavailableError, GraphError, QuadratError
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

Start = Callable[..., Engine]


def start(package: ModelPackage, settings: EngineSettings, log: logging.Logger, at_once: int = 1) -> Engine:
    """Start the requested engine, or with `auto` the first that can run this model on this device.

    The engine runs up to `at_once` batches at once if it supports that; its `at_once` attribute is the actual
    number. Raises the errors of the requested engine. With `auto`, if no engine starts, raises GraphError if an
    engine could not read the network, DeviceError if all lack the device or precision, else
    EngineUnavailableError; the message lists the reason for each engine.
    """
    if settings.device == "gpu" and settings.engine != "fake":
        need_gpu()
    if settings.engine != "auto":
        try:
            return _start_one(settings.engine, package, settings, log, at_once)
        except EngineUnavailableError as error:
            where = error.where or f"engine {settings.engine}, {package.name}"
            raise EngineUnavailableError(error.what, where=where, hint=error.hint) from error
    reasons: dict[str, QuadratError] = {}
    for name in ORDER[settings.device]:
        try:
            return _start_one(name, package, settings, log, at_once)
        except QuadratError as error:
            said = error.at(error.where, "" if error.hint == OTHER_ENGINE else error.hint)
            reasons[name] = said
            log.info("engine %s cannot start: %s", name, said.line)
    raise _combine_reasons(package, settings, reasons)


def _start_one(
    name: str, package: ModelPackage, settings: EngineSettings, log: logging.Logger, at_once: int
) -> Engine:
    if name not in ENGINES:
        raise EngineUnavailableError(
            f"unknown engine {name!r}", where="engine", hint="Use one of " + ", ".join(ORDER["cpu"])
        )
    module, attribute = ENGINES[name].split(":")
    several = (at_once,) if name in CONCURRENT else ()
    return cast(Start, getattr(import_module(module), attribute))(package, settings, log, *several)


def _combine_reasons(
    package: ModelPackage, settings: EngineSettings, reasons: dict[str, QuadratError]
) -> QuadratError:
    """Combine the reasons into one error, whose class states what is at fault."""
    listed = "; ".join(f"{name}: {error}" for name, error in reasons.items())
    kind: type[QuadratError]
    if any(isinstance(error, GraphError) for error in reasons.values()):
        kind, text = GraphError, "the network cannot be read"
    elif all(isinstance(error, DeviceError) for error in reasons.values()):
        kind, text = DeviceError, f"no engine supports {settings.precision} on this {settings.device}"
    else:
        kind, text = EngineUnavailableError, f"no engine can run this model on the {settings.device}"
    return kind(f"{text} ({listed})", where=package.name)
