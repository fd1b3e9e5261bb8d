"""Runs infer_service.py as the platform or a person does: a process of its own."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICE = ROOT / "infer_service.py"
TINY = ROOT / "examples" / "models" / "seagrass-tiny.tgz"
ORDER = "urn:ivcap:order:11111111-2222-3333-4444-555555555555"
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


class Service:
    """Starts the service in `folder`, with a TMPDIR of its own that can be looked into afterwards."""

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
        """Give the outer variables without proxies and the platform's, then our TMPDIR, then `env`."""
        own = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and "IVCAP" not in k}
        return own | {"TMPDIR": str(self.tmp), "QUADRAT_CACHE_DIR": str(self._kernels)} | dict(env)

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
        return Ran(process.returncode, said, sorted(p.name for p in self.tmp.iterdir()))

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
