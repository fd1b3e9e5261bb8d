"""Runs whole orders of the service: `Service` in this process, `ServiceProcess` as a process of its own.

Both take the same words and give the same `Ran`. A process costs a second to start, so it is kept for what only a
process shows: the SDK, signals, limits of the system, and three examples of each exit status.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import infer_service
from tests.service.arguments import OrderContext, parse_arguments

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICE = ROOT / "infer_service.py"
TINY = ROOT / "examples" / "models" / "seagrass-tiny.tgz"
ORDER = "urn:ivcap:order:11111111-2222-3333-4444-555555555555"
LOCAL_ORDER = "urn:ivcap:order:00000000-0000-0000-0000-000000000000"
"""The order that the SDK names where none is given."""
SDK_FORMAT = ("%(levelname)s %(asctime)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
TIMEOUT_S = 60.0
FOLDERS = {"IVCAP_IN_DIR": "in", "IVCAP_OUT_DIR": "out", "IVCAP_CACHE_DIR": "sdk-cache"}
FULL_DISK = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Becomes the program that follows; writes beyond a size fail for it as on a full disk."""


@dataclass(frozen=True)
class Ran:
    """What a run left: its status, all it said, and the names still in its TMPDIR."""

    status: int
    said: str
    left: list[str]

    @property
    def errors(self) -> list[str]:
        """The lines logged as errors, from their code on."""
        return [
            line.split(" service ", 1)[1]
            for line in self.said.splitlines()
            if line.startswith(("ERROR ", "CRITICAL "))
        ]


class Orders:
    """Runs orders in `folder`, with a TMPDIR of its own that can be looked into afterwards."""

    def __init__(self, folder: Path, kernels: Path) -> None:
        self.folder = folder
        self.tmp = folder / "tmp"
        self._kernels = kernels
        for name in ("tmp", *FOLDERS.values()):
            (folder / name).mkdir(exist_ok=True)

    @property
    def out(self) -> Path:
        """The folder of results of local runs."""
        return self.folder / "out"

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the outer variables without proxies and the platform's, then our TMPDIR, then `env`."""
        own = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and "IVCAP" not in k}
        return own | {"TMPDIR": str(self.tmp), "QUADRAT_CACHE_DIR": str(self._kernels)} | dict(env)

    def left(self) -> list[str]:
        """Return the names still in TMPDIR."""
        return sorted(path.name for path in self.tmp.iterdir())


class Service(Orders):
    """Runs orders in this process: the real parser and infer_service.run, with a stand-in for the SDK."""

    def run(
        self,
        *words: str | Path,
        cwd: Path | None = None,
        in_dir: Path | None = None,
        out_dir: Path | None = None,
    ) -> Ran:
        """Run an order on the local folders `in` and `out`, or on others."""
        context = OrderContext(LOCAL_ORDER, in_dir or self.folder / "in", out_dir or self.out)
        return self._call(words, context, {}, cwd)

    def order(self, *words: str | Path, env: Mapping[str, str]) -> Ran:
        """Run an order on the platform, with the variables that the platform sets."""
        context = OrderContext(
            env["IVCAP_ORDER_ID"],
            self.folder / "in",
            self.out,
            env["IVCAP_STORAGE_URL"],
            env["IVCAP_CACHE_URL"],
        )
        return self._call(words, context, env, None)

    def _call(
        self, words: Sequence[str | Path], context: OrderContext, env: Mapping[str, str], cwd: Path | None
    ) -> Ran:
        said = io.StringIO()
        with self._surroundings(said, env, cwd or self.folder) as log:
            try:
                status = infer_service.run(parse_arguments([str(word) for word in words]), context, log)
            except SystemExit as end:  # the parser's
                status = int(end.code or 0)
        return Ran(status, said.getvalue(), self.left())

    @contextmanager
    def _surroundings(self, said: io.StringIO, env: Mapping[str, str], cwd: Path) -> Iterator[logging.Logger]:
        """Give this process an order's variables, folders and log for a while."""
        log, ours = logging.getLogger("service"), logging.getLogger("quadrat")
        handler = logging.StreamHandler(said)
        handler.setFormatter(logging.Formatter(*SDK_FORMAT))
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
            wanted = self.environment(env)
            for name in set(os.environ) - set(wanted):
                patch.delenv(name)
            for name, value in wanted.items():
                patch.setenv(name, value)
            patch.setattr(tempfile, "tempdir", str(self.tmp))
            patch.chdir(cwd)
            for logger in (log, ours):
                patch.setattr(logger, "handlers", [handler])
                patch.setattr(logger, "propagate", False)
            levels = [(log, log.level, logging.DEBUG), (ours, ours.level, logging.INFO)]
            for logger, _, level in levels:
                logger.setLevel(level)
            try:
                yield log
            finally:
                for logger, before, _ in levels:
                    logger.setLevel(before)


class ServiceProcess(Orders):
    """Runs infer_service.py as the platform or a person does: a process of its own."""

    def start(
        self,
        *words: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        largest: int = 0,
    ) -> subprocess.Popen[str]:
        """Start the service and return at once; no file that it writes may be larger than `largest` bytes."""
        prefix = ["-c", FULL_DISK, str(largest)] if largest else []
        return subprocess.Popen(
            [sys.executable, *prefix, str(SERVICE), *map(str, words)],
            cwd=cwd or self.folder, env=self.environment(env or {}), text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def start_order(self, *words: str | Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start an order on the platform: folders are variables, as in the container's image."""
        folders = {variable: str(self.folder / name) for variable, name in FOLDERS.items()}
        return self.start(*words, env={**folders, **env})

    def finish(self, process: subprocess.Popen[str], timeout: float = TIMEOUT_S) -> Ran:
        """Wait for the end; a run that hangs is killed with all its children."""
        try:
            said, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            raise AssertionError(f"the service did not end in {timeout:g} s; it said:\n{said}") from None
        return Ran(process.returncode, said, self.left())

    def run(self, *words: str | Path, **how: Any) -> Ran:
        """Run the service on the local folders `in` and `out`."""
        folders = ("--ivcap:in-dir", self.folder / "in", "--ivcap:out-dir", self.out)
        return self.finish(self.start(*words, *folders, **how))

    def run_bare(self, *words: str | Path, env: Mapping[str, str] | None = None) -> Ran:
        """Run the service with just these words."""
        return self.finish(self.start(*words, env=env))

    def order(self, *words: str | Path, env: Mapping[str, str]) -> Ran:
        """Run an order on the platform."""
        return self.finish(self.start_order(*words, env=env))


TABLES = ["survey.csv", "run.json", "images.csv", "totals.csv"]
"""The tables of an order of photographs, in the order in which they are delivered."""


def rows(table: bytes | Path) -> list[dict[str, str]]:
    """Read survey.csv."""
    body = table.read_bytes() if isinstance(table, Path) else table
    return list(csv.DictReader(io.StringIO(body.decode())))


def statuses(table: bytes | Path) -> list[str]:
    """Give the status of each image of survey.csv, in order, each image once."""
    seen: dict[str, str] = {}
    for row in rows(table):
        seen.setdefault(row["image"], row["status"])
    return list(seen.values())
