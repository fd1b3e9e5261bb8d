"""Text files that grow in pieces, with little text in memory and no open file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

HELD = 1 << 15
"""The most characters kept in memory: few enough for several files of each of a hundred open sources."""


class Spool:
    """A growing text file in UTF-8; `count` is its number of line ends. Characters that UTF-8 cannot hold are replaced."""

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
        """Write everything to the file."""
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
