"""A store on the platform: reads artifacts and delivers products through the data proxy."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from quadrat.errors import DeliveryError, ModelError, SourceError
from quadrat.stores.files import to_json
from quadrat.stores.no_ledger import NoLedger
from quadrat.stores.proxy import LARGEST, Proxy, QueueItem
from quadrat.stores.temporary import temporary_folder
from quadrat.types import Blob, Flush, Media, Product, Source, StoreItem

LOG = logging.getLogger("quadrat")
PATIENCE_S = 0.2
MOST_AGAIN = 1000
"""Repeated images after which a queue is considered broken."""
FEWEST_KEYS = 6
"""The SDK sends metadata with fewer keys as text in a header; products of quadrat always have more."""


class PlatformStore:
    """Reads a model and images by URN.

    `images` is the URN of a queue (`urn:ivcap:queue:...`), whose images are acknowledged one by one after their
    products are delivered, or the URN of a single image; with `moving` they are videos. It can also be a list of
    sources (streams).
    """

    in_folders = False

    def __init__(
        self,
        proxy: Proxy,
        order: str,
        models: str | Sequence[str],
        images: str | Sequence[Source],
        *,
        moving: bool = False,
        index: str = "",
    ) -> None:
        self.moving = moving
        self._given = () if isinstance(images, str) else tuple(images)
        images = images if isinstance(images, str) else ""
        self.order = order
        self._models = [models] if isinstance(models, str) else list(models)
        self._proxy = proxy
        self._index = index
        self._images = images
        self._queued = ":queue:" in images
        self._numbers = count()
        self._open: dict[str, QueueItem] = {}
        self._seen: set[str] = set()
        self._again: list[QueueItem] = []
        self._released: set[str] = set()
        self._repeated = 0
        self._changed = threading.Condition()

    def check(self) -> None:
        """Do nothing: whether the platform accepts products is known only at the first one."""

    @contextmanager
    def ledger(self) -> Iterator[NoLedger]:
        """Give a temporary folder; the queue, not a ledger, knows what is left to measure."""
        with temporary_folder("order") as folder:
            yield NoLedger(folder)

    @contextmanager
    def models(self) -> Iterator[Mapping[str, Path]]:
        """Give copies of the model archives by their URNs; they are deleted afterwards. An order may have none.

        A URN of a queue stands for all archives that it gives. They are acknowledged when the context ends without an
        error: an order that is killed finds them again. Raises ModelError if there is no archive, or if one cannot be
        fetched.
        """
        with ExitStack() as stack:
            archives: dict[str, Path] = {}
            taken: list[tuple[str, str]] = []
            try:
                for urn in self._models:
                    for each, url, token in self._archives(urn):
                        taken.append((urn, token))
                        if len(taken) - len(archives) > MOST_AGAIN:
                            raise SourceError("the queue keeps returning the same archives", where=urn)
                        if each not in archives:
                            archives[each] = stack.enter_context(copied(self._proxy, url, each))
            except SourceError as error:
                raise ModelError(error.what, where=error.where, hint=error.hint) from error
            if self._models and not archives:
                raise ModelError("there is no model archive in it", where=", ".join(self._models))
            yield archives
            for urn, token in taken:
                self._acknowledge(urn, token)

    def _archives(self, urn: str) -> Iterator[tuple[str, str, str]]:
        """Yield URN, address and token of each archive that a URN stands for."""
        if ":queue:" not in urn:
            yield urn, self._proxy.url(urn), ""
            return
        while (item := self._proxy.next_item(urn)) is not None:
            yield item.urn, item.url, item.token

    @contextmanager
    def index(self) -> Iterator[Path | None]:
        """Give a copy of the index, which is deleted afterwards; SourceError if it cannot be fetched."""
        if not self._index:
            yield None
            return
        with copied(self._proxy, self._proxy.url(self._index), self._index) as copy:
            yield copy

    def sources(self) -> Iterator[StoreItem]:
        """Yield the images of the queue as they arrive.

        When the queue is empty, the images in progress are finished and acknowledged, and then the queue is asked
        again: another worker may have returned an image.
        """
        if self._given:
            yield from self._given
            return
        media: Media = "video" if self.moving else "image"
        if not self._queued:
            urn = self._proxy.identify(self._images)
            yield Source(urn, urn, media, token=self._proxy.url(self._images))
            return
        while True:
            item = self._proxy.next_item(self._images)
            if item is not None and item.urn in self._seen:
                self._take_again(item)
            elif item is not None:
                self._seen.add(item.urn)
                token = str(next(self._numbers))
                with self._changed:
                    self._open[token] = item
                yield Source(item.urn, item.urn, media, token=token)
            elif self._open or self._again:
                yield from self._drain()
            else:
                return

    def _take_again(self, item: QueueItem) -> None:
        """Keep an item that the queue repeats: its visibility may time out while the image is measured.

        An item that was released stays in the queue.
        """
        self._repeated += 1
        if item.urn not in self._released:
            self._again.append(item)
        if self._repeated > MOST_AGAIN:
            raise SourceError("the queue keeps returning the same images", where=self._images)

    def _drain(self) -> Iterator[Flush]:
        """Wait until every image is acknowledged; yield Flush repeatedly so that the pipeline finishes its batches."""
        while True:
            yield Flush()
            with self._changed:
                if self._changed.wait_for(lambda: not self._open, PATIENCE_S):
                    break
        while self._again:
            item = self._again.pop()
            if item.urn not in self._released:  # it was repeated while it was fetched, and stays in the queue
                self._acknowledge(self._images, item.token)

    @contextmanager
    def pull(self, source: Source) -> Iterator[Blob]:
        """Give a copy of an image, which is deleted afterwards."""
        url = self._open[source.token].url if self._queued else source.token
        with copied(self._proxy, url, source.name) as path:
            yield Blob(path)

    @property
    def place(self) -> str:
        """The URN of the sources."""
        return self._images

    def deliver(self, product: Product) -> str:
        """Post a product with its metadata and return its URN."""
        if len(product.metadata) < FEWEST_KEYS:
            raise DeliveryError(f"its metadata has fewer than {FEWEST_KEYS} keys", where=product.name)
        metadata = to_json(product.metadata, product.name)
        schema = str(product.metadata["$schema"])
        try:
            return self._proxy.publish(product.name, product.mime, product.body, metadata, schema)
        except DeliveryError as error:
            urn = product.metadata.get("image")
            raise error.at(f"{error.where}, a product of {urn}") if urn else error from error

    def acknowledge(self, source: Source) -> None:
        """Acknowledge an image to the queue after its products are delivered."""
        if not self._queued:
            return
        item = self._open[source.token]
        self._acknowledge(self._images, item.token)
        self._forget(source)

    def release(self, source: Source) -> None:
        """Leave an image that could not be fetched in the queue, which gives it to a later order."""
        if self._queued:
            self._released.add(self._open[source.token].urn)
            self._forget(source)

    def _forget(self, source: Source) -> None:
        with self._changed:
            del self._open[source.token]
            self._changed.notify_all()

    def _acknowledge(self, queue: str, token: str) -> None:
        """Acknowledge an item. An expired token is only a warning, because the products are delivered."""
        if not token:
            return
        try:
            self._proxy.acknowledge(queue, token)
        except SourceError as error:
            LOG.warning("%s", error.line)

    def relist(self) -> Iterator[Source]:
        """Yield the streams; listing a queue would take items from it."""
        yield from self._given


@contextmanager
def copied(proxy: Proxy, url: str, name: str, largest: int = LARGEST) -> Iterator[Path]:
    """Give a temporary copy of the content of a URL of the proxy, of at most `largest` bytes.

    Raises SourceError, with `name` as its place, if it cannot be fetched completely.
    """
    with ExitStack() as stack:
        try:
            path = stack.enter_context(temporary_folder("artifact")) / "content"
        except OSError as error:
            raise SourceError(f"a temporary copy cannot be created ({error.strerror})", where=name) from error
        try:
            proxy.fetch(url, path, name, largest)
        except OSError as error:
            raise SourceError(f"it cannot be copied ({error.strerror})", where=name) from error
        yield path
