"""A store on the platform: artifacts come through the data proxy, and products go back through it."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from quadrat.errors import DeliveryError, ModelError, SourceError
from quadrat.stores.folder import to_json
from quadrat.stores.proxy import LARGEST, Proxy, QueueItem
from quadrat.types import Blob, Flush, Media, Product, Source, StoreItem

LOG = logging.getLogger("quadrat")
PATIENCE_S = 0.2
MOST_AGAIN = 1000
"""Images that a queue may give once more before it is taken to be out of order."""
FEWEST_KEYS = 6
"""The SDK sends metadata with fewer keys as text in a header; products here never have so few."""


class PlatformStore:
    """Takes a model and images by URN.

    `images` is a queue's URN (`urn:ivcap:queue:...`), whose images are acknowledged one by one after
    their products are out, or the URN of a single image; with `moving` they are videos. Sources in its place
    (streams) are taken as they are.
    """

    def __init__(
        self,
        proxy: Proxy,
        order: str,
        model_urn: str,
        images: str | Sequence[Source],
        *,
        moving: bool = False,
    ) -> None:
        self.moving = moving
        self._given = () if isinstance(images, str) else tuple(images)
        images = images if isinstance(images, str) else ""
        self.order = order
        self.model_urn = model_urn
        self._proxy = proxy
        self._images = images
        self._queued = ":queue:" in images
        self._numbers = count()
        self._open: dict[str, QueueItem] = {}
        self._seen: set[str] = set()
        self._again: list[QueueItem] = []
        self._changed = threading.Condition()

    def check(self) -> None:
        """Do nothing: what the platform takes shows at the first product."""

    @contextmanager
    def model(self) -> Iterator[Path]:
        """Give a copy of the model archive; it is deleted in the end."""
        with ExitStack() as stack:
            try:
                url = self._proxy.url(self.model_urn)
                path = stack.enter_context(copied(self._proxy, url, self.model_urn))
            except SourceError as error:
                raise ModelError(error.what, where=self.model_urn, hint=error.hint) from error
            yield path

    def sources(self) -> Iterator[StoreItem]:
        """Yield the images of the queue as they come.

        Where the queue has no more, what is under way is finished and acknowledged, and the queue is
        asked once more: an image that another worker gave back would else be left.
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
        """Keep what the queue gave before: while we measure, its time may run out, and it is given once more."""
        self._again.append(item)
        if len(self._again) > MOST_AGAIN:
            raise SourceError("the queue gives the same images again and again", where=self._images)

    def _drain(self) -> Iterator[Flush]:
        """Wait until every image is acknowledged, telling the path again and again to go on."""
        while True:
            yield Flush()
            with self._changed:
                if self._changed.wait_for(lambda: not self._open, PATIENCE_S):
                    break
        while self._again:
            self._say_done(self._again.pop())

    @contextmanager
    def pull(self, source: Source) -> Iterator[Blob]:
        """Give a copy of an image; it is deleted in the end."""
        url = self._open[source.token].url if self._queued else source.token
        with copied(self._proxy, url, source.name) as path:
            yield Blob(path)

    def deliver(self, product: Product) -> str:
        """Post a product with its metadata and return its URN."""
        if len(product.metadata) < FEWEST_KEYS:
            raise DeliveryError(f"its metadata has fewer than {FEWEST_KEYS} keys", where=product.name)
        metadata = to_json(product.metadata, product.name)
        return self._proxy.publish(
            product.name, product.mime, product.body, metadata, str(product.metadata["$schema"])
        )

    def acknowledge(self, source: Source) -> None:
        """Tell the queue that this image's products are out."""
        if not self._queued:
            return
        item = self._open[source.token]
        self._say_done(item)
        with self._changed:
            del self._open[source.token]
            self._changed.notify_all()

    def _say_done(self, item: QueueItem) -> None:
        """Delete an item's token; one that has run out by now is no fault of the order, whose products are out."""
        if not item.token:
            return
        try:
            self._proxy.acknowledge(self._images, item.token)
        except SourceError as error:
            LOG.warning("%s", error.line)

    def relist(self) -> Iterator[Source]:
        """Give the streams; a queue cannot be listed without taking from it."""
        yield from self._given

    def taken(self) -> Sequence[str]:
        """Give nothing: an order's artifacts are its own."""
        return ()


@contextmanager
def copied(proxy: Proxy, url: str, name: str, largest: int = LARGEST) -> Iterator[Path]:
    """Give a copy of what the proxy has at a URL, of at most `largest` bytes; it is deleted in the end.

    Raises SourceError, which says `name`, where it cannot be had whole.
    """
    try:
        handle, path = tempfile.mkstemp(prefix="quadrat-artifact-")
    except OSError as error:
        raise SourceError(f"there is no room for a copy ({error.strerror})", where=name) from error
    os.close(handle)
    try:
        try:
            proxy.fetch(url, Path(path), name, largest)
        except OSError as error:
            raise SourceError(f"it cannot be copied ({error.strerror})", where=name) from error
        yield Path(path)
    finally:
        Path(path).unlink(missing_ok=True)
