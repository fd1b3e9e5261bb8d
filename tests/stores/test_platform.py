from __future__ import annotations

import logging
import tempfile
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

import pytest

from quadrat.errors import DeliveryError, ModelError, SourceError
from quadrat.stores import platform
from quadrat.stores.platform import PlatformStore
from quadrat.stores.proxy import Proxy, QueueItem
from quadrat.stores.streams import list_streams
from quadrat.types import Flush, Product, Source

QUEUE = "urn:ivcap:queue:1"


class Replies(Proxy):
    """A data proxy that gives what was laid down, without a network."""

    def __init__(self, *items: QueueItem) -> None:
        super().__init__("http://artifact.local", None)
        self.items = deque(items)
        self.done: list[str] = []
        self.asked = 0
        self.refuses = False

    def next_item(self, queue: str) -> QueueItem | None:
        """Give what is next."""
        self.asked += 1
        return self.items.popleft() if self.items else None

    def acknowledge(self, queue: str, token: str) -> None:
        """Keep the token."""
        if self.refuses:
            raise SourceError("the queue responded 400 to an acknowledgement", where=queue)
        self.done.append(token)

    def fetch(self, url: str, path: Path, name: str, largest: int = 0) -> None:
        """Write the address in place of what it has."""
        path.write_bytes(url.encode())


def item(number: int, token: str = "") -> QueueItem:
    """Give an image of the queue."""
    return QueueItem(f"urn:ivcap:artifact:{number}", f"http://artifact.local/{number}", token or f"t{number}")


def store_on(proxy: Proxy, *, moving: bool = False) -> PlatformStore:
    """Give an order's store on this proxy."""
    return PlatformStore(proxy, "urn:ivcap:order:1", "urn:ivcap:artifact:0", QUEUE, moving=moving)


def drain(store: PlatformStore) -> list[str]:
    """Take every image, acknowledging them all whenever the store says that it waits."""
    names, waiting = [], []
    for thing in store.sources():
        if isinstance(thing, Flush):
            for source in waiting:
                store.acknowledge(source)
            waiting = []
        elif isinstance(thing, Source):
            names.append(thing.name)
            waiting.append(thing)
    assert waiting == []
    return names


def test_the_end_is_asked_for_once_more_after_all_is_acknowledged() -> None:
    """On the first 204 the path is told to finish; only a 204 with nothing under way is the end."""
    proxy = Replies(item(1), item(2))

    assert ["urn:ivcap:artifact:1", "urn:ivcap:artifact:2"] == drain(store_on(proxy))
    assert (["t1", "t2"], 4) == (proxy.done, proxy.asked)


def test_an_image_given_again_is_measured_once() -> None:
    """An image whose time ran out while it was measured comes again: both tokens are deleted, after its products."""
    proxy = Replies(item(1), item(1, "t1-again"), item(2))

    assert ["urn:ivcap:artifact:1", "urn:ivcap:artifact:2"] == drain(store_on(proxy))
    assert ["t1", "t2", "t1-again"] == proxy.done


def test_a_queue_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that takes no token and gives the same image for ever ends the order."""
    monkeypatch.setattr(platform, "MOST_AGAIN", 3)

    with pytest.raises(SourceError, match="keeps returning"):
        drain(store_on(Replies(*[item(1)] * 9)))


def test_a_refused_token_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The products are out, so that the order goes on."""
    proxy = Replies(item(1))
    proxy.refuses = True
    logging.getLogger("quadrat").propagate = True

    assert ["urn:ivcap:artifact:1"] == drain(store_on(proxy))
    assert "E_SOURCE urn:ivcap:queue:1: the queue responded 400" in caplog.text


def test_waiting_ends_when_another_thread_acknowledges() -> None:
    """The reader waits in one thread while images are acknowledged in another, and may be stopped meanwhile."""
    store = store_on(Replies(item(1)))
    things = store.sources()
    source = next(things)
    assert isinstance(source, Source)
    assert [Flush, Flush] == [type(next(things)), type(next(things))]

    threading.Timer(0.05, store.acknowledge, (source,)).start()

    assert all(isinstance(thing, Flush) for thing in things)


def test_copies_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy of the model or of an image is gone after its context, whatever happened in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = store_on(Replies(item(1)))
    source = next(store.sources())
    assert isinstance(source, Source)

    with store.models() as models, store.pull(source) as photo:
        assert ["urn:ivcap:artifact:0"] == list(models)
        assert b"http://artifact.local/urn:ivcap:artifact:0" == models["urn:ivcap:artifact:0"].read_bytes()
        assert b"http://artifact.local/1" == photo.loaded().content
    with pytest.raises(ValueError, match="in the middle"), store.pull(source):
        raise ValueError("in the middle")

    assert [] == list(tmp_path.iterdir())


def test_a_queue_of_archives_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its archives is copied by its own URN, and acknowledged at the end; the copies are gone afterwards."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    proxy = Replies(item(1), item(2))
    store = PlatformStore(proxy, "urn:ivcap:order:1", ["urn:ivcap:artifact:0", "urn:ivcap:queue:2"], QUEUE)

    with store.models() as models:
        assert [f"urn:ivcap:artifact:{number}" for number in range(3)] == list(models)
        assert 3 == len({path.read_bytes() for path in models.values()})
        assert [] == proxy.done
    assert ["t1", "t2"] == proxy.done
    assert [] == list(tmp_path.iterdir())


def test_a_queue_of_archives_is_found_again_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order that ends badly acknowledges no archive; one that the queue repeats is copied once."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    proxy = Replies(item(1), item(1), item(2))
    store = PlatformStore(proxy, "urn:ivcap:order:1", "urn:ivcap:queue:2", QUEUE)

    found: list[str] = []
    with suppress(ValueError), store.models() as models:
        found.extend(models)
        raise ValueError("in the middle")
    assert ["urn:ivcap:artifact:1", "urn:ivcap:artifact:2"] == found
    assert [] == proxy.done
    assert [] == list(tmp_path.iterdir())


def test_an_empty_queue_of_archives_is_a_fault_of_the_models() -> None:
    """One line that names the queue, before any image is taken."""
    store = PlatformStore(Replies(), "urn:ivcap:order:1", "urn:ivcap:queue:2", QUEUE)

    with pytest.raises(ModelError, match="urn:ivcap:queue:2: there is no model archive"), store.models():
        pass


@pytest.mark.parametrize("count", [2, 5])
def test_metadata_that_the_sdk_would_send_as_text_is_refused(count: int) -> None:
    """Five keys or fewer never leave."""
    keys = {"$schema": "urn:example:schema:a.1", **{f"key-{n}": n for n in range(count - 1)}}
    few = Product("a.png", "image/png", b"", keys)

    with pytest.raises(DeliveryError, match="fewer than 6 keys"):
        store_on(Replies()).deliver(few)


def test_videos_of_a_queue_are_acknowledged_in_any_order() -> None:
    """Several are open at once, the queue is asked for more only when there is room, and each keeps its own token."""
    proxy = Replies(*[item(n) for n in range(1, 5)])
    store = store_on(proxy, moving=True)
    things = store.sources()
    first, second, third = (next(things) for _ in range(3))
    assert isinstance(first, Source)
    assert isinstance(second, Source)
    assert isinstance(third, Source)
    assert ["video"] * 3 == [s.media for s in (first, second, third)]
    assert 3 == proxy.asked

    store.acknowledge(second)
    store.acknowledge(third)
    fourth = next(things)
    assert isinstance(fourth, Source)
    assert isinstance(next(things), Flush)
    with store.pull(first) as copy:
        assert b"http://artifact.local/1" == copy.loaded().content
    store.acknowledge(fourth)
    assert isinstance(next(things), Flush)
    store.acknowledge(first)

    assert [] == [thing for thing in things if not isinstance(thing, Flush)]
    assert ["t2", "t3", "t4", "t1"] == proxy.done


def test_a_video_given_again_while_it_is_measured() -> None:
    """A long video outlasts its time in the queue: it is measured once, and both tokens are deleted at the end."""
    proxy = Replies(item(1), item(2), item(1, "t1-again"))
    things = (store := store_on(proxy, moving=True)).sources()
    sources = [next(things), next(things)]
    assert isinstance(next(things), Flush)
    for source in reversed(sources):
        assert isinstance(source, Source)
        store.acknowledge(source)

    assert [] == [thing for thing in things if not isinstance(thing, Flush)]
    assert ["t2", "t1", "t1-again"] == proxy.done


def test_streams_are_taken_as_they_are() -> None:
    """An order of streams asks nobody for sources, and nothing is to be acknowledged."""
    streams = list_streams("rtsp://a/1 rtsp://b/1")
    proxy = Replies()
    store = PlatformStore(proxy, "urn:ivcap:order:1", "urn:ivcap:artifact:0", streams, moving=True)

    assert streams == list(store.sources()) == list(store.relist())
    store.acknowledge(streams[0])
    assert (0, []) == (proxy.asked, proxy.done)


def test_an_image_given_again_after_its_products_are_out_is_acknowledged() -> None:
    """Nothing is under way when the queue ends, and the second token is deleted all the same."""
    proxy = Replies(item(1), item(1, "t1-again"))
    store = store_on(proxy)
    things = store.sources()
    source = next(things)
    assert isinstance(source, Source)
    store.acknowledge(source)

    assert [] == [thing for thing in things if not isinstance(thing, Flush)]
    assert ["t1", "t1-again"] == proxy.done


def test_an_image_given_again_and_then_released_stays_in_the_queue() -> None:
    """Its time ran out while the platform did not return it: nobody has measured it, so neither token is deleted."""
    proxy = Replies(item(1), item(1, "t1-again"), item(2))
    store = store_on(proxy)
    things = store.sources()
    first, second = (next(things) for _ in range(2))
    assert isinstance(first, Source)
    assert isinstance(second, Source)
    store.release(first)
    store.acknowledge(second)

    assert [] == [thing for thing in things if not isinstance(thing, Flush)]
    assert ["t2"] == proxy.done


def test_an_archive_that_cannot_be_fetched_is_an_error_of_the_model() -> None:
    """What, where and hint are the store's own."""

    class Gone(Replies):
        def fetch(self, url: str, path: Path, name: str, largest: int = 0) -> None:
            raise SourceError("the data proxy responded 404 Not Found", where=name, hint="Look")

    with (
        pytest.raises(ModelError, match="404 Not Found") as caught,
        store_on(Gone()).models(),
    ):
        pass
    assert ("urn:ivcap:artifact:0", "Look") == (caught.value.where, caught.value.hint)
