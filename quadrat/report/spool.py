"""Text written piece by piece to a file, with few pieces in memory and no file held open."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

HELD = 1 << 15
"""Characters kept in memory: with some hundred sources at once, a handful of files for each stays small."""


class Spool:
    """A text file that grows; lines end as given. UTF-8, what it cannot hold replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: list[str] = []
        self._size = 0
        path.write_bytes(b"")

    def write(self, text: str) -> None:
        """Append a text."""
        self._held.append(text)
        self._size += len(text)
        if self._size >= HELD:
            self.flush()

    def flush(self) -> None:
        """Bring everything to the file."""
        if self._held:
            with self.path.open("ab") as file:
                file.write("".join(self._held).encode("utf-8", "replace"))
            self._held.clear()
            self._size = 0

    def lines(self) -> Iterator[str]:
        """Read the lines back, without their ends."""
        self.flush()
        with self.path.open(encoding="utf-8", newline="") as file:
            for line in file:
                yield line.rstrip("\r\n")

    def delete(self) -> None:
        """Remove the file."""
        self._held.clear()
        self._size = 0
        self.path.unlink(missing_ok=True)


def joined(path: Path, head: str, parts: Iterable[Spool]) -> Path:
    """Write `head` and all parts into one file; the parts stay."""
    with path.open("wb") as out:
        out.write(head.encode())
        for part in parts:
            part.flush()
            with part.path.open("rb") as file:
                shutil.copyfileobj(file, out, 1 << 20)
    return path
