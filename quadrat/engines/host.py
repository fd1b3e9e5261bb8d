"""Run an engine in a child process, so that a native crash, a loop or a lack of memory becomes an error.

The host has the interface of the engine it runs. The child may use another Python interpreter: it imports this copy
of quadrat, and everything else from its own environment. It ends when its standard input is closed, that is, when
its parent is gone. Its output goes to the log, and the last line into the error if it dies.

If the child dies while several batches are in it, any of them may be at fault. Each is then run again alone in a new
child, so that only the guilty one fails.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat import errors
from quadrat.engines.channel import Channel, Child, ChildDeathError, ChildGoneError
from quadrat.engines.limits import Limits, fits, megabytes
from quadrat.errors import (
    EngineMemoryError,
    EngineRunError,
    EngineTimeoutError,
    EngineUnavailableError,
    GraphError,
    QuadratError,
)
from quadrat.parameters import EngineSettings
from quadrat.types import ModelPackage, OutputSpec

MAX_DEATHS = 20
"""Runs in a row in which the child died, after which it is not restarted."""
MAX_TIMEOUTS = 3
"""The same for runs that took too long, as each of them costs that time."""
SMALLER = "Measure at a smaller size (--max-img-size, --tile-size, --batch-size)"
CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")


class HostedEngine:
    """Runs the engine that `target` ("module:function", called like an engine's `start`) returns, in a child.

    A QuadratError in the child is raised unchanged in the parent. If the child dies while reading the network, a
    GraphError is raised if it crashed, an EngineTimeoutError or EngineMemoryError if it hit a limit, else an
    EngineRunError. If it dies on a batch, an EngineRunError is raised, and the next batch starts a new child.

    `spare` is a child that was started in advance.
    """

    def __init__(
        self,
        target: str,
        package: ModelPackage,
        settings: EngineSettings,
        log: logging.Logger,
        *,
        limits: Limits | None = None,
        python: str = sys.executable,
        at_once: int = 1,
        spare: Child | None = None,
    ) -> None:
        self._start_message: dict[str, Any] = {
            "op": "start",
            "target": target,
            "package": _package_to_json(package),
            "settings": asdict(settings),
            "at_once": at_once,
        }
        self._python, self._count = python, at_once
        self._where, self._log, self._limits = package.name, log, limits or Limits()
        self._level = logging.INFO if settings.print_detail else logging.DEBUG
        self._turns = _Turns()
        self._changing = threading.RLock()
        self._child: Child | None = None
        self._closed, self._deaths, self._timeouts = False, 0, 0
        about = self._start(settings.device, spare)
        self.name, self.version = str(about["name"]), str(about["version"])
        self.device, self.precision = str(about["device"]), str(about["precision"])
        self.at_once = max(1, min(int(about["at_once"]), at_once))
        self.outputs: Sequence[OutputSpec] = tuple(
            OutputSpec(str(n), str(d), tuple(s)) for n, d, s in about["outputs"]
        )

    @property
    def pid(self) -> int | None:
        """The child's process id, or None if there is no child."""
        return self._child.pid if self._child else None

    def run(
        self, batch: NDArray[np.float32], outputs: Sequence[str], seconds: float | None = None
    ) -> dict[str, NDArray[Any]]:
        """Run (N, C, H, W) float32 in the child, for at most `seconds`, by default what its limits say.

        Raises EngineRunError.
        """
        limit = seconds or self._limits.running(batch[:, :1].size)
        try:
            if not fits(batch.nbytes):
                raise MemoryError
            try:
                return self._run(batch, outputs, limit, alone=False)
            except ChildDeathError as died:
                if died.certain or (died.alone and len(batch) > 1):  # the caller runs its inputs one by one
                    raise
            return self._run(batch, outputs, limit, alone=True)
        except ChildDeathError as died:
            self._deaths += 1
            self._timeouts += isinstance(died.error, EngineTimeoutError)
            raise died.error from died
        except MemoryError as error:
            raise EngineMemoryError(
                f"there is not enough memory for a batch of shape {batch.shape}, {megabytes(batch.nbytes)}",
                where=self.name, hint=SMALLER,
            ) from error  # fmt: skip

    def set_threads(self, count: int) -> None:
        """Read the network again in a new child, with another number of threads. No run may be in progress.

        Raises the errors of a start; `set_threads` with the earlier number makes the engine usable again.
        """
        settings = {**self._start_message["settings"], "cpu_threads": count}
        with self._changing:
            self._drop(self._child)
            self._start_message = {**self._start_message, "settings": settings}
            self._start(self.device, None)

    def close(self) -> None:
        """End the child; a second call does nothing."""
        self._closed = True
        self._drop(self._child)

    def _run(
        self, batch: NDArray[np.float32], outputs: Sequence[str], limit: float, *, alone: bool
    ) -> dict[str, NDArray[Any]]:
        message = {"op": "run", "outputs": list(outputs)}
        with self._turns.taken(alone=alone):
            while True:
                child = self._running_child()
                try:
                    with child.channel() as channel:
                        _, arrays = self._ask(child, channel, message, {"batch": batch}, limit)
                    break
                except ChildGoneError:  # another batch ended it just now
                    self._drop(child)
                except ChildDeathError:
                    self._drop(child)
                    raise
        self._deaths = self._timeouts = 0
        return arrays

    def _ask(
        self,
        child: Child,
        channel: Channel,
        message: dict[str, Any],
        arrays: dict[str, NDArray[Any]],
        limit: float,
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Send a request and return the answer. Raises the errors of the child, and ChildDeathError if it ended."""
        try:
            answer, results = channel.ask(message, arrays, monotonic() + limit)
        except (EOFError, OSError, ValueError) as error:
            raise self._death(child, channel, limit, starting=message["op"] == "start") from error
        except BaseException:
            child.kill()
            self._drop(child)  # part of a message may have been sent, so the connection is unusable
            raise
        if "error" in answer:
            raise _error_from_json(answer["error"])
        return answer, results

    def _running_child(self) -> Child:
        """Return the child, and start a new one if the last one died."""
        with self._changing:
            if self._closed:
                raise EngineRunError("the engine is closed", where=self.name)
            if self._child is None:
                if self._timeouts >= MAX_TIMEOUTS:
                    raise EngineTimeoutError(
                        f"the network was not run: {self._timeouts} runs in a row took too long",
                        where=self.name, hint="Raise --source-seconds",
                    )  # fmt: skip
                if self._deaths >= MAX_DEATHS:
                    raise EngineRunError(f"its process died {self._deaths} times in a row", where=self.name)
                self._log.info("%s: restarting its process", self.name)
                self._start(self.device, None)
            if self._child is None:
                raise EngineRunError("its process is gone", where=self._where)
            return self._child

    def _start(self, device: str, spare: Child | None) -> dict[str, Any]:
        try:
            child = spare or Child(self._python, self._count)
        except OSError as error:
            raise EngineUnavailableError(
                f"its process could not be started: {error}",
                hint="Close other programs, or use --executor local",
            ) from error
        child.begin(self._log, self._level, self._limits.memory_now())
        self._child = child
        try:
            with child.channel() as channel:
                about, _ = self._ask(child, channel, self._start_message, {}, self._limits.loading(device))
        except ChildDeathError as died:
            self._drop(child)
            raise died.error from died
        except QuadratError:
            self._drop(child)
            raise
        return about

    def _death(self, child: Child, channel: Channel, limit: float, *, starting: bool) -> ChildDeathError:
        """Return how the child died during a request."""
        child.end(dying=True)
        doing = "reading the network" if starting else "running a batch"
        if channel.overdue:
            name = "load-seconds" if starting else "source-seconds"
            error: QuadratError = EngineTimeoutError(
                f"{doing} took more than {limit:,.0f} s", where=self._where, hint=f"Raise --{name}"
            )
            return ChildDeathError(error, alone=not channel.shared, certain=True)
        if child.excess:
            error = EngineMemoryError(
                f"{doing} took {megabytes(child.excess)} of memory, more than the limit of {megabytes(child.most or 0)}",
                where=self._where,
                hint=f"{SMALLER}, or raise --memory-limit",
            )
            return ChildDeathError(error, alone=not channel.shared, certain=not channel.shared)
        how = child.describe_exit()
        crashed = any(name in how for name in CRASHES)
        kind = GraphError if starting and crashed else EngineRunError
        hint = "The machine may be out of memory" if "SIGKILL" in how else ""
        error = kind(f"the engine's process {how} while {doing}", where=self._where, hint=hint)
        return ChildDeathError(error, alone=not channel.shared, certain=False)

    def _drop(self, child: Child | None) -> None:
        """End a child that is not to be used again."""
        with self._changing:
            if child is not None:
                child.end()
            if self._child is child:
                self._child = None


class _Turns:
    """Lets runs into the child: several at once, or one alone."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._alone = False

    @contextmanager
    def taken(self, *, alone: bool) -> Iterator[None]:
        """Wait for a turn, and hold it while the context is open."""
        with self._condition:
            self._condition.wait_for(lambda: not self._alone and not (alone and self._inside))
            self._inside += 1
            self._alone = alone
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._alone = False
                self._condition.notify_all()


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


def _error_from_json(values: Any) -> QuadratError:
    """Return the QuadratError that the child sent; other classes become EngineRunError."""
    kind = getattr(errors, str(values.get("kind")), None)
    if not (isinstance(kind, type) and issubclass(kind, QuadratError)):
        kind = EngineRunError
    return kind(str(values.get("what")), where=str(values.get("where")), hint=str(values.get("hint")))
