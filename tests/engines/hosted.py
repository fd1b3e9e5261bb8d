"""The children of this process in which engines run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def guests() -> list[int]:
    """Give their process ids."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return [pid for pid in found if _is_guest(pid)]


def _is_guest(pid: int) -> bool:
    with suppress(OSError):
        return b"quadrat.engines.guest" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
