"""Room 5: arrays -> arrays. Engines know no image and no class; each starts a network or says why not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import cast

from quadrat.engines.common import need_gpu
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
"""Every engine by name; `fake` is for code that asks for it, the parameter does not offer it."""

ORDER = {"cpu": ("openvino", "onnx", "paddle"), "gpu": ("onnx", "paddle")}
"""What `engine=auto` tries, by device."""

SIDE_BY_SIDE = ("openvino",)
"""Those that can be told to do several runs at once."""

Start = Callable[..., Engine]


def start(package: ModelPackage, settings: EngineSettings, log: logging.Logger, at_once: int = 1) -> Engine:
    """Start the engine asked for, or with `auto` the first that can run this model on this device.

    It does `at_once` runs side by side where it can; its own `at_once` says how many.
    Raises what the engine asked for raises. With `auto`, when none starts: GraphError if any engine
    could not read the network, DeviceError if all lack the device or precision, else
    EngineUnavailableError; the reasons of all are in its one line.
    """
    if settings.device == "gpu" and settings.engine != "fake":
        need_gpu()
    if settings.engine != "auto":
        try:
            return _started(settings.engine, package, settings, log, at_once)
        except EngineUnavailableError as error:
            where = error.where or f"engine {settings.engine}, {package.name}"
            raise EngineUnavailableError(error.what, where=where, hint=error.hint) from error
    reasons: dict[str, QuadratError] = {}
    for name in ORDER[settings.device]:
        try:
            return _started(name, package, settings, log, at_once)
        except QuadratError as error:
            reasons[name] = error
            log.info("engine %s does not start: %s", name, error.line)
    raise _none_started(package, settings, reasons)


def _started(
    name: str, package: ModelPackage, settings: EngineSettings, log: logging.Logger, at_once: int
) -> Engine:
    if name not in ENGINES:
        raise EngineUnavailableError(
            f"there is no engine {name!r}", where="engine", hint="Choose from " + ", ".join(ORDER["cpu"])
        )
    module, attribute = ENGINES[name].split(":")
    several = (at_once,) if name in SIDE_BY_SIDE else ()
    engine = cast(Start, getattr(import_module(module), attribute))(package, settings, log, *several)
    log.info("engine %s %s on %s in %s", engine.name, engine.version, engine.device, engine.precision)
    return engine


def _none_started(
    package: ModelPackage, settings: EngineSettings, reasons: dict[str, QuadratError]
) -> QuadratError:
    """Join all reasons into one error, whose kind says what is at fault."""
    listed = "; ".join(f"{name}: {error}" for name, error in reasons.items())
    kind: type[QuadratError]
    if any(isinstance(error, GraphError) for error in reasons.values()):
        kind, said = GraphError, "the network cannot be read"
    elif all(isinstance(error, DeviceError) for error in reasons.values()):
        kind, said = DeviceError, f"no engine runs in {settings.precision} on this {settings.device}"
    else:
        kind, said = EngineUnavailableError, f"no engine can run this model on the {settings.device}"
    return kind(f"{said} ({listed})", where=package.name)
