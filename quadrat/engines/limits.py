"""Limits on the process of an engine, and the memory that this machine and its processes have.

Memory is read from /proc and the control group. Where neither exists, it is unknown, and nothing is limited.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOAD_S = 240.0
"""Seconds to read a network, for all engines that `auto` tries together."""
LOAD_GPU_S = 1200.0
"""The same on a GPU, where TensorRT builds its engine."""
RUN_S = 60.0
"""Seconds for a run of the network, to which PIXEL_S is added for each pixel of its input."""
PIXEL_S = 60.0 / 1e6
SHARE = 0.9
"""Share of the free memory that the process may take, if no limit is given."""
SMALL = 1 << 26
"""Bytes that are allocated without a look at the free memory."""
OOM_SCORE = 1000
"""The kernel ends the process with the highest score first when memory runs out."""

_CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
"""Files with the limit and the use of this container, in versions 2 and 1."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process of an engine may take.

    `memory` is in bytes; None takes SHARE of what is free when the process starts. `load_s` are the seconds to
    read a network, and `run_s` those for one image or frame; None takes the defaults above.
    """

    memory: int | None = None
    load_s: float | None = None
    run_s: float | None = None

    def loading(self, device: str) -> float:
        """Return the seconds to read a network."""
        return self.load_s or (LOAD_S if device == "cpu" else LOAD_GPU_S)

    def running(self, pixels: int) -> float:
        """Return the seconds for one run on a batch, from its total number of pixels."""
        return self.run_s or RUN_S + PIXEL_S * pixels

    def memory_now(self) -> int | None:
        """Return the bytes that a process that starts now may take, or None if that is unknown."""
        if self.memory is not None:
            return self.memory
        free = free_memory()
        return None if free is None else int(free * SHARE)


def free_memory() -> int | None:
    """Return the bytes of memory that are free on this machine and in this container, or None if that is unknown."""
    known = [_machine_free(), *(_group_free(*files) for files in _CGROUPS)]
    return min((each for each in known if each is not None), default=None)


def fits(size: int) -> bool:
    """Return False if this many bytes are more than the free memory."""
    if size <= SMALL:
        return True
    free = free_memory()
    return free is None or size <= free


def _machine_free() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _group_free(limit: Path, used: Path) -> int | None:
    """Return what a control group has left; files that it has cached count as free."""
    with suppress(OSError, ValueError):
        most, now = int(limit.read_text("ascii")), int(used.read_text("ascii"))
        cached = 0
        for line in limit.with_name("memory.stat").read_text("ascii").splitlines():
            if line.startswith(("inactive_file ", "total_inactive_file ")):
                cached = int(line.split()[1])
        return max(0, most - now + cached)
    return None


class Resident:
    """The memory that a process holds; its file is opened once, as it is read often."""

    def __init__(self, pid: int) -> None:
        self._handle = -1
        with suppress(OSError):
            self._handle = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
            weakref.finalize(self, os.close, self._handle)

    def bytes(self) -> int:
        """Return the bytes, or 0 if that is unknown."""
        if self._handle < 0:
            return 0
        with suppress(OSError, ValueError, IndexError):
            return int(os.pread(self._handle, 100, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return 0


def resident(pid: int | None = None) -> int:
    """Return the bytes that a process holds, by default this one, or 0 if that is unknown."""
    return Resident(os.getpid() if pid is None else pid).bytes()


def end_first(pid: int) -> None:
    """Ask the kernel to end this process before others when memory runs out."""
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(OOM_SCORE), "ascii")


def megabytes(size: float) -> str:
    """Write a size for a message."""
    return f"{size / 1e6:,.0f} MB"
