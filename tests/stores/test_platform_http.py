from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from quadrat.errors import DeliveryError, SourceError
from quadrat.stores.platform import PlatformStore
from quadrat.stores.proxy import Proxy
from quadrat.types import Product, Source
from tests.platform_double.proxy import DataProxy
from tests.platform_double.state import Artifact, Queue, QueueItem

ORDER = "urn:ivcap:order:1"
METADATA = {"$schema": "urn:example:schema:a.1", "a": 1, "b": 2, "c": 3, "d": 4, "e": 5}


@pytest.fixture
def photos(double: DataProxy) -> list[Artifact]:
    """Three artifacts."""
    return [double.add(body) for body in (b"one", b"two", b"three")]


@pytest.fixture
def queue(double: DataProxy, photos: list[Artifact]) -> Queue:
    """A queue of them."""
    return double.queue(photos, ("url", "urn"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that takes copies; nothing else is in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def store(double: DataProxy, images: str) -> PlatformStore:
    """The store of an order of these images."""
    return PlatformStore(Proxy(double.url, None, 0.2), ORDER, double.add(b"model").urn, images)


def test_what_goes_in_comes_out(double: DataProxy, queue: Queue, folder: Path) -> None:
    """Model and images come as copies that are gone afterwards; each image is acknowledged when told, not before."""
    orders = store(double, queue.urn)
    with orders.models() as models:
        assert [path.read_bytes() for path in models.values()] == [b"model"]

    seen = []
    for source in orders.sources():
        assert isinstance(source, Source)
        with orders.pull(source) as photo:
            seen.append(photo.loaded().content)
        assert list(folder.iterdir()) == []
        assert len(queue.unacked) == 1
        orders.acknowledge(source)
        assert len(queue.unacked) == 0

    assert seen == [b"one", b"two", b"three"]
    assert list(orders.relist()) == []
    assert orders.place == queue.urn
    with orders.ledger() as ledger:
        assert ledger.known(source) is None


def test_a_product_goes_out(double: DataProxy, queue: Queue) -> None:
    """A product and its metadata are posted, and its URN is what the proxy says."""
    urn = store(double, queue.urn).deliver(Product("a.png", "image/png", b"picture", METADATA))

    assert double.products[urn].body == b"picture"
    assert double.products[urn].metadata == [METADATA]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"$schema": "x", "a": 1}, "fewer than 6 keys"),
        ({**METADATA, "a": float("nan")}, "not strict JSON"),
        ({**METADATA, "a": object()}, "not strict JSON"),
    ],
)
def test_metadata_that_would_arrive_as_something_else(
    double: DataProxy, queue: Queue, metadata: dict[str, object], said: str
) -> None:
    """What the platform would flatten or JSON cannot say is refused before anything is posted."""
    with pytest.raises(DeliveryError, match=said):
        store(double, queue.urn).deliver(Product("a.png", "image/png", b"picture", metadata))
    assert double.requests == []


def test_an_image_given_back_meanwhile_is_taken(double: DataProxy, photos: list[Artifact]) -> None:
    """A queue that was empty is asked once more, and what another worker gave back by then is an image of the order."""
    queue = double.queue(photos[:1])
    queue.late.append(QueueItem(photos[1]))
    orders = store(double, queue.urn)
    taken = []
    for item in orders.sources():
        if isinstance(item, Source):
            taken.append(item)
        else:
            orders.acknowledge(taken[-1])

    assert [s.urn for s in taken] == [a.urn for a in photos[:2]]
    assert len(queue.acked) == 2


def test_one_image(double: DataProxy, photos: list[Artifact], folder: Path) -> None:
    """An artifact's URN is a collection of one, and acknowledging it asks nobody."""
    orders = store(double, photos[0].urn)

    (source,) = orders.sources()
    assert isinstance(source, Source)
    assert (source.urn, source.name) == (photos[0].urn, photos[0].urn)
    with orders.pull(source) as photo:
        assert photo.loaded().content == b"one"
    orders.acknowledge(source)

    assert {r.kind for r in double.requests} == {"artifact"}
    assert list(folder.iterdir()) == []


def test_no_copy_is_left_whatever_happens(double: DataProxy, photos: list[Artifact], folder: Path) -> None:
    """A copy is gone after an error of its reader, and half a copy after an error of the proxy."""
    orders = store(double, photos[0].urn)
    (source,) = orders.sources()
    assert isinstance(source, Source)

    with pytest.raises(ZeroDivisionError), orders.pull(source):
        _ = 1 / 0
    double.fail("artifact", truncate=True)
    with pytest.raises(SourceError, match="ended early"), orders.pull(source):
        pytest.fail("half an image was given")
    assert list(folder.iterdir()) == []


def test_no_room_for_a_copy(double: DataProxy, photos: list[Artifact], folder: Path, monkeypatch) -> None:
    """A machine without room for a copy is that image's error."""
    orders = store(double, photos[0].urn)
    (source,) = orders.sources()
    assert isinstance(source, Source)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "gone"))

    with pytest.raises(SourceError, match="a temporary copy cannot be created"), orders.pull(source):
        pytest.fail("there is no such folder")
