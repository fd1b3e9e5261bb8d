"""Run an engine in a child process, so that a native crash on a bad model or batch becomes an error.

The host has the interface of the engine it runs. The child may use another Python interpreter: it imports
this copy of quadrat, and everything else from its own environment. The child exits when its standard input
is closed, that is, when its parent is gone. Its output goes to the log, and the last line into the error if
it dies.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import quadrat
from quadrat import errors
from quadrat.engines.wire import receive, send
from quadrat.errors import EngineRunError, EngineUnavailableError, GraphError, QuadratError
from quadrat.parameters import EngineSettings
from quadrat.types import ModelPackage, OutputSpec

START_TIMEOUT_S = 600.0
"""Building a TensorRT engine can take minutes."""
MAX_DEATHS = 3
"""Consecutive deaths after which the child is not restarted."""
CHILD_CODE = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
home, fd = sys.argv[1:]
spec = spec_from_file_location("quadrat", home + "/__init__.py", submodule_search_locations=[home])
sys.modules["quadrat"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["quadrat"])
from quadrat.engines.host import main
main(int(fd))
"""
"""Code of the child: it imports quadrat from its folder, without the packages beside that folder."""
CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE")


class HostedEngine:
    """Runs the engine that `target` ("module:function", called like an engine's `start`) returns, in a child.

    A QuadratError in the child is raised unchanged in the parent. If the child dies while reading the network,
    a GraphError is raised if it crashed, else an EngineRunError. If it dies on a batch, an EngineRunError is
    raised, and the next batch starts a new child.
    """

    at_once = 1

    def __init__(
        self,
        target: str,
        package: ModelPackage,
        settings: EngineSettings,
        log: logging.Logger,
        *,
        start_timeout_s: float = START_TIMEOUT_S,
        python: str = sys.executable,
    ) -> None:
        self._start_message = {
            "target": target,
            "package": _package_to_json(package),
            "settings": asdict(settings),
        }
        self._python = python
        self._where, self._log, self._timeout_s = package.name, log, start_timeout_s
        self._level = logging.INFO if settings.print_detail else logging.DEBUG
        self._child: _Child | None = None
        self._closed, self._deaths = False, 0
        about = self._start()
        self.name, self.version = str(about["name"]), str(about["version"])
        self.device, self.precision = str(about["device"]), str(about["precision"])
        self.outputs: Sequence[OutputSpec] = tuple(
            OutputSpec(str(n), str(d), tuple(s)) for n, d, s in about["outputs"]
        )

    @property
    def pid(self) -> int | None:
        """The child's process id, or None if there is no child."""
        return self._child.process.pid if self._child else None

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run (N, C, H, W) float32 in the child. Raises EngineRunError."""
        if self._closed:
            raise EngineRunError("the engine is closed", where=self.name)
        if self._child is None:
            if self._deaths >= MAX_DEATHS:
                raise EngineRunError(f"its process died {self._deaths} times in a row", where=self.name)
            self._log.info("%s: restarting its process", self.name)
            self._start()
        _, arrays = self._request({"op": "run", "outputs": list(outputs)}, {"batch": batch}, starting=False)
        self._deaths = 0
        return arrays

    def close(self) -> None:
        """End the child; a second call does nothing."""
        self._closed = True
        self._end()

    def _start(self) -> dict[str, Any]:
        try:
            self._child = _Child(self._python, self._log, self._level)
        except OSError as error:
            raise EngineUnavailableError(f"its process could not be started: {error}") from error
        self._child.sock.settimeout(self._timeout_s)
        try:
            about, _ = self._request({"op": "start", **self._start_message}, {}, starting=True)
        except QuadratError:
            self._end()
            raise
        self._child.sock.settimeout(None)
        return about

    def _request(
        self, message: dict[str, Any], arrays: dict[str, NDArray[Any]], *, starting: bool
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        if self._child is None:
            raise EngineRunError("its process is gone", where=self._where)
        try:
            send(self._child.sock, message, arrays)
            answer, results = receive(self._child.sock)
        except TimeoutError as error:
            self._end()
            raise EngineRunError(
                f"its process was not ready after {self._timeout_s:.0f} s", where=self._where
            ) from error
        except (EOFError, OSError, ValueError) as error:
            raise self._handle_death(starting=starting) from error
        except BaseException:
            self._end()  # part of a message may have been sent, so the connection is unusable
            raise
        if "error" in answer:
            raise _error_from_json(answer["error"])
        return answer, results

    def _handle_death(self, *, starting: bool) -> QuadratError:
        """Clean up the child, and return an error that states how it died."""
        self._deaths += 1
        child = self._child
        if child is not None:
            child.wait_briefly()
        self._end()
        how = child.describe_exit() if child else "is gone"
        doing = "reading the network" if starting else "running a batch"
        crashed = any(name in how for name in CRASHES)
        kind = GraphError if starting and crashed else EngineRunError
        hint = "The machine may be out of memory" if "SIGKILL" in how else ""
        return kind(f"the engine's process {how} while {doing}", where=self._where, hint=hint)

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """The process, its socket, and the thread that logs its output."""

    def __init__(self, python: str, log: logging.Logger, level: int) -> None:
        self.sock, theirs = socket.socketpair()
        home = str(Path(quadrat.__file__).resolve().parent)
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [python, "-P", "-c", CHILD_CODE, home, str(theirs.fileno())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=[theirs.fileno()],
                )
        except OSError:
            self.sock.close()
            raise
        self._lines: deque[str] = deque(maxlen=20)
        self._reader = threading.Thread(target=self._log_output, args=(log, level), daemon=True)
        self._reader.start()

    def _log_output(self, log: logging.Logger, level: int) -> None:
        if self.process.stdout is not None:
            for raw in self.process.stdout:
                line = raw.decode(errors="replace").strip()
                if line:
                    self._lines.append(line)
                    log.log(level, "engine: %s", line)

    def wait_briefly(self) -> None:
        """Close the socket and give the process time to exit by itself."""
        self.sock.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)

    def end(self) -> None:
        """Close the socket and standard input, wait, then kill the process; close all files."""
        self.sock.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def describe_exit(self) -> str:
        """Describe how the process ended, after `end`: the signal, or the exit status and the last line of output."""
        status = self.process.returncode
        if status is not None and status < 0:
            return f"was terminated by {signal.Signals(-status).name}"
        last_line = f" ({self._lines[-1][:200]})" if self._lines else ""
        return f"ended with exit status {status}{last_line}"


def _package_to_json(package: ModelPackage) -> dict[str, Any]:
    """Return the fields of a package that an engine needs, JSON-serialisable."""
    return {
        "root": str(package.root),
        "name": package.name,
        "digest": package.digest,
        "task": package.task,
        "engines": {name: str(path) for name, path in package.engines.items()},
        "params": str(package.params) if package.params else None,
        "num_classes": package.num_classes or len(package.classes) or None,
        "input_shape": list(package.input_shape),
        "outputs": dict(package.outputs),
    }


def _package_from_json(values: dict[str, Any]) -> ModelPackage:
    changed = {
        "root": Path(values["root"]),
        "engines": {name: Path(path) for name, path in values["engines"].items()},
        "params": Path(values["params"]) if values["params"] else None,
        "input_shape": tuple(values["input_shape"]),
    }
    return ModelPackage(**{**values, **changed}, transforms=(), classes=())


def _error_from_json(values: Any) -> QuadratError:
    """Return the QuadratError that the child sent; other classes become EngineRunError."""
    kind = getattr(errors, str(values.get("kind")), None)
    if not (isinstance(kind, type) and issubclass(kind, QuadratError)):
        kind = EngineRunError
    return kind(str(values.get("what")), where=str(values.get("where")), hint=str(values.get("hint")))


def main(fd: int) -> None:
    """Run the child: start the engine that the first message names, then run batches until the socket is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    with suppress(ImportError):  # Windows has neither limits nor core files
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    engine: Any = None
    with socket.socket(fileno=fd) as sock, suppress(EOFError):
        while True:
            message, arrays = receive(sock)
            try:
                if message["op"] == "start":
                    engine = _start_engine(message)
                    send(sock, _describe_engine(engine), {})
                else:
                    send(sock, {}, engine.run(arrays["batch"], message["outputs"]))
            except QuadratError as error:
                values = {"kind": type(error).__name__, "what": error.what}
                send(sock, {"error": {**values, "where": error.where, "hint": error.hint}}, {})


def _start_engine(message: dict[str, Any]) -> Any:
    module, attribute = message["target"].split(":")
    settings = EngineSettings(**message["settings"])
    make = getattr(import_module(module), attribute)
    return make(_package_from_json(message["package"]), settings, logging.getLogger("quadrat.engine"))


def _describe_engine(engine: Any) -> dict[str, Any]:
    outputs = [(spec.name, spec.dtype, spec.shape) for spec in engine.outputs]
    fields = {name: getattr(engine, name) for name in ("name", "version", "device", "precision")}
    return json.loads(json.dumps({**fields, "outputs": outputs}))  # type: ignore[no-any-return]  # json.loads is untyped


def _exit_with_parent() -> None:
    """Wait for standard input to close; then exit at once, even during a batch, as the parent is gone."""
    os.read(0, 1)
    os._exit(0)
