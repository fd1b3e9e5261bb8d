"""The child's side of a hosted engine: it starts the engine that its host names, and runs batches.

It uses no more of quadrat than engines do, because its interpreter may have another set of packages.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from quadrat.engines.arena import Arena
from quadrat.engines.limits import end_first
from quadrat.engines.wire import receive, send
from quadrat.errors import EngineMemoryError, EngineRunError, QuadratError
from quadrat.parameters import EngineSettings
from quadrat.types import ModelPackage

Handles = tuple[int, int, int]
"""Descriptors of one connection: its socket, and the arenas of requests and answers, or -1 without them."""


def main(handles: Sequence[Handles], soon: str) -> None:
    """Answer the host on several connections at once, each in a thread, until it closes them.

    `soon` names a function ("module:function") without arguments that is called while the host is still busy: it
    loads the library that is probably needed.
    """
    _leave_with_parent()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    if soon:
        module, attribute = soon.split(":")
        with suppress(Exception):  # the engine reports it when it starts
            getattr(import_module(module), attribute)()
    started: list[Any] = []
    for each in handles[1:]:
        threading.Thread(target=_serve, args=(each, started), daemon=True).start()
    _serve(handles[0], started)
    os._exit(0)  # a library that is still at work, or frees its memory slowly, delays nobody


def _serve(handles: Handles, started: list[Any]) -> None:
    """Answer the requests of one connection."""
    requests, answers = (Arena(handle) if handle >= 0 else None for handle in handles[1:])
    with socket.socket(fileno=handles[0]) as sock, suppress(EOFError, OSError):
        while True:
            message, arrays = receive(sock, requests, copy=False)
            try:
                if message["op"] == "start":
                    started.append(_start_engine(message))
                    send(sock, _describe_engine(started[-1]), {})
                else:
                    send(sock, {}, started[-1].run(arrays["batch"], message["outputs"]), answers)
            except (EOFError, OSError):
                raise
            except Exception as raised:  # noqa: BLE001 - whatever a library raises is an error of the engine
                error = _to_quadrat_error(raised)
                values = {"kind": type(error).__name__, "what": error.what}
                send(sock, {"error": {**values, "where": error.where, "hint": error.hint}}, {})


def _to_quadrat_error(error: Exception) -> QuadratError:
    if isinstance(error, QuadratError):
        return error
    if isinstance(error, MemoryError):
        return EngineMemoryError("there is not enough memory for the network")
    return EngineRunError(f"the engine failed: {type(error).__name__}: {error}"[:300])


def _start_engine(message: dict[str, Any]) -> Any:
    module, attribute = message["target"].split(":")
    settings = EngineSettings(**message["settings"])
    make: Callable[..., Any] = getattr(import_module(module), attribute)
    several = (message["at_once"],) if message["at_once"] > 1 else ()
    log = logging.getLogger("quadrat.engine")
    return make(_package_from_json(message["package"]), settings, log, *several)


def _package_from_json(values: dict[str, Any]) -> ModelPackage:
    changed = {
        "root": Path(values["root"]),
        "engines": {name: Path(path) for name, path in values["engines"].items()},
        "params": Path(values["params"]) if values["params"] else None,
        "input_shape": tuple(values["input_shape"]),
    }
    return ModelPackage(**{**values, **changed}, transforms=(), classes=())


def _describe_engine(engine: Any) -> dict[str, Any]:
    outputs = [(spec.name, spec.dtype, spec.shape) for spec in engine.outputs]
    fields = {name: getattr(engine, name) for name in ("name", "version", "device", "precision")}
    about = {**fields, "outputs": outputs, "at_once": getattr(engine, "at_once", 1)}
    return json.loads(json.dumps(about))  # type: ignore[no-any-return]  # json.loads is untyped


def _leave_with_parent() -> None:
    """End when standard input is closed, as the parent is gone then; the parent answers all other signals.

    The kernel ends the process even while a library holds the interpreter's lock; the thread is for systems without
    that signal.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ImportError, OSError, AttributeError):
        import fcntl

        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    end_first(os.getpid())
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    os.read(0, 1)
    os._exit(0)
