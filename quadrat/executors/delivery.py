"""The delivery of products to a store."""

from __future__ import annotations

from time import perf_counter

from quadrat.errors import DeliveryError, UnavailableError
from quadrat.protocols import Store
from quadrat.records import SourceRecord
from quadrat.types import Product, Source


class Delivery:
    """Delivers products to the store, and counts and times this.

    `source` is the source whose products are being delivered, until its record is complete. `refused` is True once
    the store has refused a product.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.source: Source | None = None
        self.refused = False
        self.seconds = 0.0
        self.count = 0

    def deliver(self, product: Product, source: Source | None = None) -> str:
        """Deliver a product of a source or of the whole order, and return its URN."""
        begin = perf_counter()
        self.source = source
        try:
            urn = self._store.deliver(product)
        except DeliveryError:
            self.refused = True
            raise
        finally:
            self.seconds += perf_counter() - begin
        self.count += 1
        return urn

    def acknowledge(self, record: SourceRecord) -> None:
        """Tell the store that all products of a source are delivered, or that a later order may fetch it."""
        waits = any(isinstance(fault, UnavailableError) for fault in record.faults)
        (self._store.release if waits else self._store.acknowledge)(record.source)
