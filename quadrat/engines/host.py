"""An engine in a child process: a native crash on a bad model or batch becomes an error of ours.

The host looks like the engine that it holds. The child may run under another interpreter: it takes
this very quadrat, and all else from its own environment. Its standard input is a lifeline: when it
closes, the parent is gone and the child ends. What it prints goes to the log, and the last of it
into the error when it dies.
"""

from __future__ import annotations

import json
import logging
import os
import resource
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
"""Building a TensorRT engine takes minutes."""
MAX_DEATHS = 3
"""Deaths in a row after which the child is not started again."""
BOOT = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
home, fd = sys.argv[1:]
spec = spec_from_file_location("quadrat", home + "/__init__.py", submodule_search_locations=[home])
sys.modules["quadrat"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["quadrat"])
from quadrat.engines.host import main
main(int(fd))
"""
"""What the child runs: quadrat from its own folder, without the packages that lie beside that folder."""
CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE")


class HostedEngine:
    """The engine that `target` ("module:function", called as an engine's start) makes, in a child.

    Errors of ours cross the border as they are. A death while the network is being read is a
    GraphError if the child crashed, else an EngineRunError; a death on a batch is an
    EngineRunError, and the next batch gets a new child.
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
        self._order = {"target": target, "package": _packed(package), "settings": asdict(settings)}
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
        """The child's process number, or None while there is none."""
        return self._child.process.pid if self._child else None

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run (N, C, H, W) float32 in the child. Raises EngineRunError."""
        if self._closed:
            raise EngineRunError("the engine is closed", where=self.name)
        if self._child is None:
            if self._deaths >= MAX_DEATHS:
                raise EngineRunError(f"its process died {self._deaths} times in a row", where=self.name)
            self._log.info("%s: starting its process again", self.name)
            self._start()
        _, arrays = self._ask({"op": "run", "outputs": list(outputs)}, {"batch": batch}, starting=False)
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
            raise EngineUnavailableError(f"its process does not start: {error}") from error
        self._child.sock.settimeout(self._timeout_s)
        try:
            about, _ = self._ask({"op": "start", **self._order}, {}, starting=True)
        except QuadratError:
            self._end()
            raise
        self._child.sock.settimeout(None)
        return about

    def _ask(
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
            raise self._death(starting=starting) from error
        except BaseException:
            self._end()  # half a message may be under way: the line is of no more use
            raise
        if "error" in answer:
            raise _error(answer["error"])
        return answer, results

    def _death(self, *, starting: bool) -> QuadratError:
        """End what is left of the child and say how it died."""
        self._deaths += 1
        child = self._child
        if child is not None:
            child.settle()
        self._end()
        how = child.epitaph() if child else "is gone"
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
    """The process, its socket, and the thread that carries its words into the log."""

    def __init__(self, python: str, log: logging.Logger, level: int) -> None:
        self.sock, theirs = socket.socketpair()
        home = str(Path(quadrat.__file__).resolve().parent)
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [python, "-P", "-c", BOOT, home, str(theirs.fileno())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=[theirs.fileno()],
                )
        except OSError:
            self.sock.close()
            raise
        self._words: deque[str] = deque(maxlen=20)
        self._reader = threading.Thread(target=self._listen, args=(log, level), daemon=True)
        self._reader.start()

    def _listen(self, log: logging.Logger, level: int) -> None:
        if self.process.stdout is not None:
            for raw in self.process.stdout:
                line = raw.decode(errors="replace").strip()
                if line:
                    self._words.append(line)
                    log.log(level, "engine: %s", line)

    def settle(self) -> None:
        """Give a process that hung up a moment to end in its own way."""
        self.sock.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)

    def end(self) -> None:
        """Close the socket and the lifeline, wait a little, then kill; nothing stays open."""
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

    def epitaph(self) -> str:
        """Say how it died, after `end`: the signal by name, or the exit status and its last words."""
        status = self.process.returncode
        if status is not None and status < 0:
            return f"died of {signal.Signals(-status).name}"
        said = f" ({self._words[-1][:200]})" if self._words else ""
        return f"ended with exit status {status}{said}"


def _packed(package: ModelPackage) -> dict[str, Any]:
    """Give what an engine needs of a package, as JSON can carry it."""
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


def _unpacked(said: dict[str, Any]) -> ModelPackage:
    changed = {
        "root": Path(said["root"]),
        "engines": {name: Path(path) for name, path in said["engines"].items()},
        "params": Path(said["params"]) if said["params"] else None,
        "input_shape": tuple(said["input_shape"]),
    }
    return ModelPackage(**{**said, **changed}, transforms=(), classes=())


def _error(said: Any) -> QuadratError:
    """Rebuild an error of ours from the child's words; of no other kind."""
    kind = getattr(errors, str(said.get("kind")), None)
    if not (isinstance(kind, type) and issubclass(kind, QuadratError)):
        kind = EngineRunError
    return kind(str(said.get("what")), where=str(said.get("where")), hint=str(said.get("hint")))


def main(fd: int) -> None:
    """Be the child: start the engine that the first message names, then run batches until the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    engine: Any = None
    with socket.socket(fileno=fd) as sock, suppress(EOFError):
        while True:
            message, arrays = receive(sock)
            try:
                if message["op"] == "start":
                    engine = _started(message)
                    send(sock, _about(engine), {})
                else:
                    send(sock, {}, engine.run(arrays["batch"], message["outputs"]))
            except QuadratError as error:
                said = {"kind": type(error).__name__, "what": error.what}
                send(sock, {"error": {**said, "where": error.where, "hint": error.hint}}, {})


def _started(message: dict[str, Any]) -> Any:
    module, attribute = message["target"].split(":")
    settings = EngineSettings(**message["settings"])
    make = getattr(import_module(module), attribute)
    return make(_unpacked(message["package"]), settings, logging.getLogger("quadrat.engine"))


def _about(engine: Any) -> dict[str, Any]:
    outputs = [(spec.name, spec.dtype, spec.shape) for spec in engine.outputs]
    words = {name: getattr(engine, name) for name in ("name", "version", "device", "precision")}
    return json.loads(json.dumps({**words, "outputs": outputs}))  # type: ignore[no-any-return]


def _end_with_parent() -> None:
    """Block on the lifeline; end at once when the parent is gone, even in the middle of a batch."""
    os.read(0, 1)
    os._exit(0)
