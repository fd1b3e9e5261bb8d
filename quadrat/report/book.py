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
    """Stores records in a file. Only their offsets are in memory.

    If a record cannot be written, as on a full disk, it and all later ones stay in memory: the order is about to end,
    and its tables need them.
    """

    path: Path
    _places: list[tuple[int, str, str, int]] = field(default_factory=list)
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

    def add(self, record: SourceRecord, place: int | None = None) -> None:
        """Append a record; `place` is its place among images, the next one if it is None.

        Raises OSError for the first record that cannot be written; the book has it all the same.
        """
        if not self._held:
            try:
                with self.path.open("ab") as file:
                    offset = file.tell()
                    pickle.dump(record, file, protocol=pickle.HIGHEST_PROTOCOL)
            except OSError:
                self._hold(record, place)
                raise
            self._note(record, offset, place)
        else:
            self._hold(record, place)

    def _hold(self, record: SourceRecord, place: int | None) -> None:
        offset = -1 - len(self._held)
        self._held[offset] = record
        self._note(record, offset, place)

    def _note(self, record: SourceRecord, offset: int, place: int | None = None) -> None:
        place = len(self._places) if place is None else place
        self._places.append((place, record.source.name, record.source.urn, offset))
        self._by_name = self._by_name or record.source.media != "image"

    def urns(self) -> Iterator[str]:
        """Yield the URNs of all sources that have a record."""
        return (urn for _, _, urn, _ in self._places)

    def __len__(self) -> int:
        """Count the records."""
        return len(self._places)

    def __iter__(self) -> Iterator[SourceRecord]:
        """Yield the records in their final order: images by their places, all other sources by name."""
        by_name = self._by_name
        places = sorted(self._places, key=lambda each: each[1:] if by_name else (each[0], each[3] < 0))
        with ExitStack() as stack:
            file = stack.enter_context(self.path.open("rb")) if len(places) > len(self._held) else None
            for _, _, _, offset in places:
                if file is None or offset < 0:
                    yield self._held[offset]
                else:
                    file.seek(offset)
                    yield pickle.load(file)  # noqa: S301 - written by this order
