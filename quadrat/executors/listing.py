"""The sources of an order, with the names of their products and their places in the tables."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from quadrat.protocols import Ledger, Store
from quadrat.records import SourceRecord
from quadrat.report.names import Names
from quadrat.types import Failure, Source, StoreItem


class Listing:
    """The sources of an order as its store lists them, each with the stem of its products' names.

    Sources whose records the ledger has are not listed; `take_known` gives their records.
    """

    def __init__(self, store: Store, names: Names, ledger: Ledger | None = None) -> None:
        self._store = store
        self._names = names
        self._ledger = ledger
        self._places: dict[str, int] = {}
        self._known: deque[SourceRecord] = deque()
        self.total = sum(1 for _ in store.relist()) or None

    def __iter__(self) -> Iterator[StoreItem]:
        """Yield the sources with their stems, which thus do not depend on which source fails or finishes first."""
        for item in self._store.sources():
            if isinstance(item, Failure):
                self.place(item.source)
            if not isinstance(item, Source):
                yield item
                continue
            self.place(item)
            source = replace(item, stem=self._names.of(item))
            record = self._ledger.known(source) if self._ledger is not None else None
            if record is None:
                yield source
            else:
                self._known.append(record)

    def place(self, source: Source) -> int:
        """Return the place of a source: its number in the listing."""
        return self._places.setdefault(source.urn, len(self._places))

    def take_known(self) -> Iterator[SourceRecord]:
        """Yield the records that the ledger had, each once; any time, while the sources are being listed."""
        while self._known:
            yield self._known.popleft()

    def left(self, seen: Iterable[str]) -> Iterator[Source]:
        """Yield the sources whose URN is not in `seen`, if the store can list them again."""
        known = set(seen)
        return (source for source in self._store.relist() if source.urn not in known)
