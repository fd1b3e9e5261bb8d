"""Text files that grow in pieces, with little text in memory and no open file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

HELD = 1 << 15
"""The most characters kept in memory: few enough for several files of each of a hundred open sources."""


class Spool:
    """A growing text file in UTF-8; `count` is its number of line ends. Characters that UTF-8 cannot hold are replaced.

    The file appears with the first piece. If a piece cannot be written, as on a full disk, the text is lost and
    `flush` raises the error; `write` never does, so that one table does not stop others. With `vital`, the text stays
    in memory instead, and `content` returns it.
    """

    def __init__(self, path: Path, *, vital: bool = False) -> None:
        self.path = path
        self._held: list[str] = []
        self._size = 0
        self._vital = vital
        self._error: OSError | None = None
        self._written = -1
        self.count = 0

    def write(self, text: str) -> None:
        """Append a text."""
        self.count += text.count("\n")
        if self._error is not None and not self._vital:
            return
        self._held.append(text)
        self._size += len(text)
        if self._size >= HELD:
            self._append()

    def extend(self, texts: Iterable[str]) -> int:
        """Append texts and return their number."""
        count = 0
        for text in texts:
            self.write(text)
            count += 1
        return count

    def flush(self) -> None:
        """Write everything to the file; OSError if this or an earlier piece cannot be written."""
        self._append()
        if self._error is not None:
            raise self._error

    def content(self) -> Path | bytes:
        """Return the file of a vital spool, complete, or its content if the file could not be written."""
        self._append()
        return self.path if self._error is None else "".join(self._held).encode("utf-8", "replace")

    def _append(self) -> None:
        """Write what is in memory; the first piece replaces a file of an earlier order."""
        if self._error is not None or (self._written >= 0 and not self._held):
            return
        piece = "".join(self._held).encode("utf-8", "replace")
        try:
            if self._written < 0:
                self.path.unlink(missing_ok=True)
            with self.path.open("ab") as file:
                file.write(piece)
        except OSError as error:
            self._fail(error, piece)
            return
        self._written = max(self._written, 0) + len(piece)
        self._held.clear()
        self._size = 0

    def _fail(self, error: OSError, piece: bytes) -> None:
        """Give the disk up; a vital text comes back into memory, without the cut piece at the end of its file."""
        self._error = error
        self._held.clear()
        if self._vital:
            written = self.path.read_bytes()[: self._written] if self._written > 0 else b""
            self._held = [(written + piece).decode()]

    def pieces(self) -> Iterator[str]:
        """Read the text back, in pieces of at most HELD characters; OSError if it is not complete."""
        self.flush()
        with self.path.open(encoding="utf-8", newline="") as file:
            while piece := file.read(HELD):
                yield piece

    def delete(self) -> None:
        """Remove the file."""
        self._held.clear()
        self._size = self._written = 0
        self.path.unlink(missing_ok=True)
