"""What was chosen for a network with batch-size=auto or cpu-threads=auto: in memory, and on disk for later orders.

A file holds one choice, under the digest of everything that it depends on: archive, engine, machine and settings. It is
written under a temporary name and renamed, so that two orders at once never see half of one. Using a choice never
changes a result: every batch size is checked again on the inputs of the order that uses it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from quadrat.engines.common import cache_folder, usable_cores
from quadrat.engines.compile_cache import remove_old
from quadrat.records import Trial, Tuning

VERSION = 1
"""Increased when choices of earlier versions must not be used."""
MAX_FILES = 256
"""Choices kept, the most recently used ones."""
LARGEST = 1 << 20


@dataclass(slots=True)
class Tuned:
    """The choices for one loaded network by the shape of its inputs, and the threads that it has at the moment.

    Hold `lock` while values are tried.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: int | None = None
    by_shape: dict[tuple[int, ...], Tuning] = field(default_factory=dict)


class Choices:
    """The folder of choices; without one that can be written, nothing is remembered."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @classmethod
    def usual(cls) -> Choices:
        """Return the choices in the user's folder of caches."""
        folder = cache_folder()
        return cls(folder / "tuned" if folder else None)

    def find(self, parts: Mapping[str, Any]) -> Tuning | None:
        """Return the choice for `parts`, or None; a file that is damaged, or another user's, is not used."""
        path = self._path(parts)
        if path is None:
            return None
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            status = path.stat()
            if status.st_size > LARGEST or (hasattr(os, "getuid") and status.st_uid not in (os.getuid(), 0)):
                return None
            held = json.loads(path.read_bytes())
            if held["parts"] != json.loads(json.dumps(parts)):
                return None
            tuning = _from_json(held["tuning"])
            with suppress(OSError):  # a read-only folder is still usable
                os.utime(path)
            return replace(tuning, remembered=True)
        return None

    def keep(self, parts: Mapping[str, Any], tuning: Tuning) -> None:
        """Remember a choice, and forget the least recently used ones; nothing happens if that cannot be written."""
        path = self._path(parts)
        if path is None:
            return
        body = json.dumps({"parts": parts, "tuning": asdict(tuning)}, indent=1)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(body)
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            remove_old(path.parent, "*.json", MAX_FILES)

    def forget(self, parts: Mapping[str, Any]) -> None:
        """Remove the choice for `parts`."""
        path = self._path(parts)
        if path is not None:
            with suppress(OSError):
                path.unlink()

    def _path(self, parts: Mapping[str, Any]) -> Path | None:
        if self._folder is None or not parts.get("archive"):
            return None
        digest = hashlib.sha256(json.dumps([VERSION, parts], sort_keys=True).encode()).hexdigest()
        return self._folder / f"{digest}.json"


def machine() -> dict[str, Any]:
    """Return what identifies this machine for the speed of a network: its processor and the cores of this process."""
    return {
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": usable_cores(),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _from_json(values: Mapping[str, Any]) -> Tuning:
    """Return a choice from its JSON form. Raises TypeError, KeyError or ValueError if it is not one."""
    trials = tuple(Trial(**each) for each in values["trials"])
    tuning = Tuning(**{**values, "trials": trials, "shape": tuple(values["shape"])})
    chosen = (tuning.cpu_threads, tuning.batch_size)
    if chosen not in [(each.cpu_threads, each.batch_size) for each in trials if each.outcome == "ok"]:
        raise ValueError("it was not tried with success")
    return tuning
