"""The files that a ledger has written, as a listing sees them while a run goes on."""

from __future__ import annotations

from pathlib import Path

from quadrat.stores.entries import FOLDER, PART, Entry, Written
from quadrat.stores.journal import Journal


class Delivered:
    """The files of a folder of results by path below it, including those that are being written.

    A ledger notes a file before it appears, so a name that was not found is looked for in what has been noted since.
    """

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder / FOLDER / "journal")
        self._end = 0
        self._names = {PART}

    def __contains__(self, name: str) -> bool:
        """Return True if the ledger has written, or is about to write, this file."""
        if name in self._names:
            return True
        for offset, value in self._journal.scan(self._end):
            self._end = offset
            if isinstance(value, Written | Entry):
                self._names.update(value.files)
        return name in self._names


def delivered_in(folder: Path) -> Delivered | None:
    """Return the files that are results in a folder; None if it has no ledger."""
    return Delivered(folder) if (folder / FOLDER / "journal").is_file() else None
