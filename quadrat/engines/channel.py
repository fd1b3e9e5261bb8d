"""The child process of a hosted engine, and its connections, as the host sees them."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any

from numpy.typing import NDArray

import quadrat
from quadrat.engines.arena import Arena, shared_file
from quadrat.engines.limits import Resident
from quadrat.engines.wire import receive, send
from quadrat.errors import QuadratError

WATCH_S = 0.05
"""Seconds between two looks at the time and the memory of a request under way."""
END_S = 5.0
"""Seconds that a child has to end by itself before it is killed."""
CHILD_CODE = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
home, soon, *handles = sys.argv[1:]
spec = spec_from_file_location("quadrat", home + "/__init__.py", submodule_search_locations=[home])
sys.modules["quadrat"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["quadrat"])
from quadrat.engines.guest import main
main([tuple(int(handle) for handle in each.split(",")) for each in handles], soon)
"""
"""Code of the child: it imports quadrat from its folder, without the packages beside that folder."""


class ChildDeathError(Exception):
    """The child died during a request.

    `error` says how. `alone` is True if no other request was in the child, and `certain` if this request is at
    fault without doubt.
    """

    def __init__(self, error: QuadratError, *, alone: bool, certain: bool) -> None:
        super().__init__(error)
        self.error = error
        self.alone = alone
        self.certain = certain


class ChildGoneError(Exception):
    """The child ended before the request was made, and another one must be asked."""


class Channel:
    """One connection to the child: requests on it come one after the other.

    `overdue` is True if the child was killed because this request took too long, and `shared` if another request was
    in the child at some time during this one.
    """

    def __init__(self) -> None:
        self.sock, self._theirs = socket.socketpair()
        files = shared_file(), shared_file()
        self._handles = (-1, -1) if None in files else files
        self._requests, self._answers = (
            Arena(handle) if handle is not None and handle >= 0 else None for handle in self._handles
        )
        self._readable = select.poll()
        self._readable.register(self.sock, select.POLLIN)
        self.overdue = self.shared = False
        self._child: Child | None = None

    @property
    def passed(self) -> list[int]:
        """The descriptors that the child gets."""
        return [self._theirs.fileno(), *(h for h in self._handles if h is not None and h >= 0)]

    @property
    def argument(self) -> str:
        """The descriptors as the child's argument."""
        return ",".join(str(handle) for handle in (self._theirs.fileno(), *self._handles))

    def open(self, child: Child) -> None:
        """Begin, once the child has its descriptors."""
        self._theirs.close()
        self._child = child

    def ask(
        self, message: dict[str, Any], arrays: dict[str, NDArray[Any]], deadline: float
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Send a request and return the answer; kill the child after `deadline`, or if it takes too much memory.

        Raises EOFError, OSError or ValueError if there is no answer.
        """
        self.sock.settimeout(max(WATCH_S, deadline - monotonic()))  # for systems without shared memory
        send(self.sock, message, arrays, self._requests if arrays else None)
        while not self._readable.poll(WATCH_S * 1000):
            if self._child is None:
                raise EOFError("the connection was closed")
            if monotonic() > deadline:
                self.overdue = True
                self._child.kill()
            self._child.watch()
        return receive(self.sock, self._answers if message["op"] == "run" else None)

    def close(self) -> None:
        """Close the connection."""
        self._child = None
        self.sock.close()
        self._theirs.close()


class Child:
    """The process, its connections, and the thread that logs its output.

    `most` is the memory in bytes that it may hold, None for any; `excess` is what it held when it was killed for that,
    else 0.
    """

    def __init__(self, python: str, count: int = 1, soon: str = "") -> None:
        channels = [Channel() for _ in range(count)]
        home = str(Path(quadrat.__file__).resolve().parent)
        try:
            self._process = subprocess.Popen(
                [python, "-P", "-c", CHILD_CODE, home, soon, *(each.argument for each in channels)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[handle for each in channels for handle in each.passed],
                start_new_session=True,  # signals of the terminal go to the parent only
            )
        except BaseException:
            for channel in channels:
                channel.close()
            raise
        self.pid = self._process.pid
        self._memory = Resident(self.pid)
        self.most: int | None = None
        self.excess = 0
        self._ending = threading.Lock()
        self._ended = False
        self._lines: deque[str] = deque(maxlen=20)
        self._said: list[tuple[logging.Logger, int]] = []
        self._busy: list[Channel] = []
        self._idle: SimpleQueue[Channel] = SimpleQueue()
        self._channels = channels
        for channel in channels:
            channel.open(self)
            self._idle.put(channel)
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        try:
            self._reader.start()
        except RuntimeError as error:  # no more threads
            self.kill()
            self._process.wait()
            raise OSError(str(error)) from error

    def begin(self, log: logging.Logger, level: int, most: int | None) -> None:
        """Set where its output is logged, and the memory that it may hold."""
        self._said.append((log, level))
        self.most = most

    @contextmanager
    def channel(self) -> Iterator[Channel]:
        """Hold a connection while the context is open. Raises ChildGoneError if the process has ended."""
        taken = self._idle.get()
        with self._ending:
            if self._ended:
                self._idle.put(taken)
                raise ChildGoneError
            taken.overdue, taken.shared = False, bool(self._busy)
            for other in self._busy:
                other.shared = True
            self._busy.append(taken)
        try:
            yield taken
        finally:
            with self._ending:
                self._busy.remove(taken)
            self._idle.put(taken)

    def watch(self) -> None:
        """Kill the process if it holds too much memory."""
        if self.most is not None and not self.excess and (held := self._memory.bytes()) > self.most:
            self.excess = held
            self.kill()

    def kill(self) -> None:
        """Kill the process; `end` cleans up."""
        self._process.kill()

    def end(self, *, dying: bool = False) -> None:
        """End the process, and kill it if it does not end by itself; a second call does nothing.

        A process at work is killed at once, unless it is `dying`, and its exit status is wanted.
        """
        with self._ending:
            if self._ended:
                return
            self._ended = True
            for channel in self._channels:
                with suppress(OSError):
                    channel.sock.shutdown(socket.SHUT_RDWR)
            if self._busy and not dying:
                self._process.kill()
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._reader.join(END_S)
            if self._process.stdout is not None:
                self._process.stdout.close()
            for channel in self._channels:
                channel.close()

    def describe_exit(self) -> str:
        """Describe how the process ended, after `end`: the signal, or the exit status and the last line of output."""
        status = self._process.returncode
        if status is not None and status < 0:
            return f"was terminated by {signal.Signals(-status).name}"
        last_line = f" ({self._lines[-1][:200]})" if self._lines else ""
        return f"ended with exit status {status}{last_line}"

    def _read_output(self) -> None:
        if self._process.stdout is None:
            return
        for raw in self._process.stdout:
            line = raw.decode(errors="replace").strip()
            if line:
                self._lines.append(line)
                for log, level in self._said:
                    log.log(level, "engine: %s", line)


def can_host() -> bool:
    """Return True if this system can run an engine in a child process."""
    return os.name == "posix"
