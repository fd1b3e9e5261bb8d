"""The sources of an order, with the names of their products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from quadrat.protocols import Store
from quadrat.report.names import Names
from quadrat.types import Source, StoreItem


class Listing:
    """The sources of an order as its store lists them, each with the stem of its products' names."""

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names
        self.total = sum(1 for _ in store.relist()) or None

    def __iter__(self) -> Iterator[StoreItem]:
        """Yield the sources with their stems, which thus do not depend on which source fails or finishes first."""
        for item in self._store.sources():
            yield replace(item, stem=self._names.of(item)) if isinstance(item, Source) else item

    def left(self, seen: Iterable[str]) -> Iterator[Source]:
        """Yield the sources whose URN is not in `seen`, if the store can list them again."""
        known = set(seen)
        return (source for source in self._store.relist() if source.urn not in known)
