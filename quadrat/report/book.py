"""The records of an order, on disk, and their final order."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from quadrat.records import SourceRecord


@dataclass(slots=True)
class RecordBook:
    """Stores records in a file, in the order in which they are added. Only their offsets are in memory.

    If a record cannot be written, as on a full disk, it and all later ones stay in memory: the order is about to end,
    and its tables need them.
    """

    path: Path
    _places: list[tuple[str, str, int]] = field(default_factory=list)
    _by_name: bool = False
    _held: dict[int, SourceRecord] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> RecordBook:
        """Open the records that an order has left in a file, which must be the order's own: it is a pickle."""
        book = cls(path)
        with path.open("rb") as file:
            while file.peek(1):
                offset = file.tell()
                record: SourceRecord = pickle.load(file)  # noqa: S301 - written by an order
                book._note(record, offset)
        return book

    def add(self, record: SourceRecord) -> None:
        """Append a record. Raises OSError for the first one that cannot be written; the book has it all the same."""
        if not self._held:
            try:
                with self.path.open("ab") as file:
                    offset = file.tell()
                    pickle.dump(record, file, protocol=pickle.HIGHEST_PROTOCOL)
            except OSError:
                self._hold(record)
                raise
            self._note(record, offset)
        else:
            self._hold(record)

    def _hold(self, record: SourceRecord) -> None:
        place = -1 - len(self._held)
        self._held[place] = record
        self._note(record, place)

    def _note(self, record: SourceRecord, offset: int) -> None:
        self._places.append((record.source.name, record.source.urn, offset))
        self._by_name = self._by_name or record.source.media != "image"

    def urns(self) -> Iterator[str]:
        """Yield the URNs of all sources that have a record."""
        return (urn for _, urn, _ in self._places)

    def __len__(self) -> int:
        """Count the records."""
        return len(self._places)

    def __iter__(self) -> Iterator[SourceRecord]:
        """Yield the records in their final order: images as they were added, all other sources by name."""
        places = sorted(self._places) if self._by_name else self._places
        with ExitStack() as stack:
            file = stack.enter_context(self.path.open("rb")) if len(places) > len(self._held) else None
            for _, _, offset in places:
                if file is None or offset < 0:
                    yield self._held[offset]
                else:
                    file.seek(offset)
                    yield pickle.load(file)  # noqa: S301 - written by this order
