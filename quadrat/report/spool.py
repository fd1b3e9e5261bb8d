"""Text written piece by piece to a file, with few pieces in memory and no file held open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

HELD = 1 << 15
"""Characters kept in memory: with some hundred sources at once, a handful of files for each stays small."""


class Spool:
    """A text file that grows; `count` is the number of line ends. UTF-8; characters it cannot hold are replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: list[str] = []
        self._size = 0
        self.count = 0
        path.write_bytes(b"")

    def write(self, text: str) -> None:
        """Append a text."""
        self._held.append(text)
        self.count += text.count("\n")
        self._size += len(text)
        if self._size >= HELD:
            self.flush()

    def extend(self, texts: Iterable[str]) -> int:
        """Append texts and return their number."""
        count = 0
        for text in texts:
            self.write(text)
            count += 1
        return count

    def flush(self) -> None:
        """Bring everything to the file."""
        if self._held:
            with self.path.open("ab") as file:
                file.write("".join(self._held).encode("utf-8", "replace"))
            self._held.clear()
            self._size = 0

    def pieces(self) -> Iterator[str]:
        """Read the text back, in pieces of at most HELD characters."""
        self.flush()
        with self.path.open(encoding="utf-8", newline="") as file:
            while piece := file.read(HELD):
                yield piece

    def delete(self) -> None:
        """Remove the file."""
        self._held.clear()
        self._size = 0
        self.path.unlink(missing_ok=True)
