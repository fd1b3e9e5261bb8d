from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from quadrat.errors import DeliveryError, SourceError, UnavailableError
from quadrat.stores.proxy import Proxy
from tests.platform_double.proxy import DataProxy

WEB = "https://photos.example/a%20b/one.jpg?size=full"
METADATA = b'{"$schema": "urn:example:schema:a.1"}'


@pytest.fixture
def proxy(double: DataProxy) -> Proxy:
    """The proxy by its addresses; it repeats failed requests for a moment only."""
    return Proxy(double.url + "/", f"{double.url}/cache", 0.3)


@pytest.fixture
def impatient(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    """The same, waiting for an answer a moment only."""
    monkeypatch.setattr("quadrat.stores.http.TIMEOUT_S", (5.0, 0.2))
    return proxy


def publish(proxy: Proxy) -> str:
    """Post a product."""
    return proxy.publish("a.png", "image/png", b"picture", METADATA, "urn:example:schema:a.1")


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("urn:ivcap:artifact:1", "http://s/urn:ivcap:artifact:1"),
        ("http://s/urn:ivcap:artifact:1", "http://s/urn:ivcap:artifact:1"),
        ("https://a.example/?>", "http://c/x/aHR0cHM6Ly9hLmV4YW1wbGUvPz4"),
        ("urn:https://a.example/?>", "http://c/x/aHR0cHM6Ly9hLmV4YW1wbGUvPz4"),
        ("https://a.example/\u00e9\u00ff\u00fe", "http://c/x/aHR0cHM6Ly9hLmV4YW1wbGUvw6nDv8O-"),
    ],
)
def test_addresses(reference: str, url: str) -> None:
    """What is on the platform is asked of the storage, all else of the cache, in URL-safe base64 without padding."""
    assert url == Proxy("http://s", "http://c/x/").url(reference)


def test_without_a_cache_the_web_is_asked_itself() -> None:
    """With no cache address a URL is its own address."""
    assert Proxy("http://s", None).url(f"urn:{WEB}") == WEB


def test_who_an_address_is(proxy: Proxy, double: DataProxy) -> None:
    """An address is the artifact that the proxy says, else what the address itself says."""
    inside, outside = double.add(b"x"), double.add(b"x", web=WEB)

    assert proxy.identify(inside.urn) == proxy.identify(f"{double.url}/{inside.urn}") == inside.urn
    assert proxy.identify(WEB) == proxy.identify(f"urn:{WEB}") == outside.urn
    assert proxy.identify("https://nobody.example/x") == "urn:https://nobody.example/x"
    double.fail("artifact", method="HEAD", status=405)
    double.fail("cache", method="HEAD", drop="unheard")
    assert proxy.identify(f"{double.url}/{inside.urn}") == inside.urn
    assert proxy.identify(WEB) == f"urn:{WEB}"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 3 << 20])
def test_what_is_fetched_is_what_is_there(
    proxy: Proxy, double: DataProxy, tmp_path: Path, size: int, chunked: bool
) -> None:
    """Bytes of any number come whole, their length told before or not."""
    double.chunked = chunked
    artifact = double.add(bytes(range(256)) * (size // 256) + b"x" * (size % 256))

    proxy.fetch(proxy.url(artifact.urn), tmp_path / "copy", "a name")

    assert artifact.body == (tmp_path / "copy").read_bytes()


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        ({"status": 404}, ("404 Not Found", SourceError)),
        ({"status": 403}, ("403 Forbidden", SourceError)),
        ({"status": 501}, ("501 Not Implemented", SourceError)),
        ({"status": 408}, ("408 Request Timeout", UnavailableError)),
        ({"status": 429}, ("429 Too Many Requests", UnavailableError)),
        ({"status": 500}, ("500 Internal Server Error", UnavailableError)),
        ({"truncate": True}, ("ended early", UnavailableError)),
        ({"drop": "unheard"}, ("no connection", UnavailableError)),
        ({"hold": True}, ("no response in time", UnavailableError)),
    ],
)
def test_what_cannot_be_fetched(
    impatient: Proxy, double: DataProxy, tmp_path: Path, fault: dict[str, Any], wanted: tuple[str, type]
) -> None:
    """A refusal is final, a passing fault is waited for; the error names the image, the reason, and which it was."""
    artifact = double.add(b"photo")
    double.fail("artifact", **fault)
    reason, kind = wanted

    with pytest.raises(SourceError, match=rf"one\.jpg: .*{reason}") as caught:
        impatient.fetch(impatient.url(artifact.urn), tmp_path / "copy", "one.jpg")
    assert kind is type(caught.value)
    assert (kind is UnavailableError) == (len(double.seen("artifact")) > 1)


@pytest.mark.parametrize("chunked", [False, True])
def test_nothing_fills_the_disk_or_lasts_for_ever(
    proxy: Proxy, double: DataProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    """An artifact beyond the size or time allowed is refused, and asked for once only."""
    double.chunked = chunked
    url = proxy.url(double.add(bytes(3 << 20)).urn)
    with pytest.raises(SourceError, match="larger than 1000 bytes"):
        proxy.fetch(url, tmp_path / "copy", "one.jpg", largest=1000)
    proxy.fetch(proxy.url(double.add(bytes(1000)).urn), tmp_path / "copy", "one.jpg", largest=1000)
    monkeypatch.setattr("quadrat.stores.http.LONGEST_S", 0.0)
    with pytest.raises(SourceError, match="took more than 0 seconds"):
        proxy.fetch(url, tmp_path / "copy", "one.jpg")

    assert len(double.seen("artifact")) == 3


def test_a_queue_from_end_to_end(proxy: Proxy, double: DataProxy) -> None:
    """Items come one by one however their address is written, each with its token, until the queue is empty."""
    items = [double.add(bytes([n]), web=f"https://photos.example/{n}") for n in range(3)]
    queue = double.queue(items, ("url", "urn", "web"))

    for item in items:
        found = proxy.next_item(queue.urn)
        assert found is not None
        assert found.urn == item.urn
        assert list(queue.unacked) == [found.token]
        proxy.acknowledge(queue.urn, found.token)
        assert queue.acked[-1] == found.token

    assert proxy.next_item(queue.urn) is None


def test_a_queue_that_names_a_path(proxy: Proxy, double: DataProxy) -> None:
    """A Location without a host is below the storage."""
    queue = double.queue([double.add(b"x", web="/urn:ivcap:artifact:7")], ("web",))

    found = proxy.next_item(queue.urn)

    assert found is not None
    assert (found.urn, found.url) == ("urn:ivcap:artifact:7", f"{double.url}/urn:ivcap:artifact:7")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 404}, "404"),
        ({"status": 200}, "200 OK instead of an image"),
        ({"status": 500}, "500"),
        ({"without": "Location"}, "307"),
        ({"drop": "unheard"}, "no connection"),
    ],
)
def test_a_queue_that_makes_no_sense(
    proxy: Proxy, double: DataProxy, fault: dict[str, Any], said: str
) -> None:
    """Any answer but 307 with a place, or 204, is an error that names the queue."""
    queue = double.queue([double.add(b"x")])
    double.fail("queue", **fault)

    with pytest.raises(SourceError, match=f"{queue.urn}: .*{said}"):
        proxy.next_item(queue.urn)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_queue_that_takes_no_token(proxy: Proxy, double: DataProxy, status: int) -> None:
    """A queue that will not hear of an acknowledgement is an error."""
    queue = double.queue([double.add(b"x")])
    double.fail("queue", method="DELETE", status=status)

    with pytest.raises(SourceError, match=str(status)):
        proxy.acknowledge(queue.urn, "token")


def test_a_product_and_its_metadata(proxy: Proxy, double: DataProxy) -> None:
    """A product is posted with name and type, then its metadata for the URN it got."""
    urn = publish(proxy)

    (made,) = double.products.values()
    assert (made.urn, made.name, made.mime, made.body) == (urn, "a.png", "image/png", b"picture")
    assert made.metadata == [json.loads(METADATA)]
    product, metadata = (dict(r.headers.items()) for r in double.seen("product", "metadata"))
    assert {k: v for k, v in metadata.items() if k.startswith("X-")} == {
        "X-Meta-Data-For-Entity": urn, "X-Meta-Data-For-Artifact": urn,
        "X-Meta-Data-For-Url": f"{double.url}/{urn}", "X-Meta-Data-Schema": "urn:example:schema:a.1",
    }  # fmt: skip
    assert {k for k in product if k.startswith("X-")} == {"X-Name"}


def test_a_product_without_a_place(proxy: Proxy, double: DataProxy) -> None:
    """Where the proxy tells no Location, metadata tells none either."""
    double.fail("product", without="Location")
    publish(proxy)

    assert "X-Meta-Data-For-Url" not in double.seen("metadata")[0].headers


@pytest.mark.parametrize("body", [b"{}", b"", b"[]", b'{"id": "", "size": 7}', b"<html>"])
def test_a_product_without_a_urn(proxy: Proxy, double: DataProxy, body: bytes) -> None:
    """An answer that does not say the product's URN is an error, and no metadata is posted for nothing."""
    double.fail("product", body=body)

    with pytest.raises(DeliveryError, match=r"a\.png: .*without returning its URN"):
        publish(proxy)
    assert double.seen("metadata") == []


@pytest.mark.parametrize(
    ("kind", "fault", "again"),
    [
        *((kind, {"status": status}, False) for kind in ("product", "metadata") for status in (400, 307)),
        *((kind, {"status": status}, True) for kind in ("product", "metadata") for status in (429, 502)),
        *(("product", fault, False) for fault in ({"drop": "heard"}, {"hold": True})),
        *(("metadata", fault, True) for fault in ({"drop": "heard"}, {"hold": True})),
    ],
)
def test_a_post_that_fails(
    impatient: Proxy, double: DataProxy, kind: str, fault: dict[str, Any], again: bool
) -> None:
    """A passing refusal is repeated, a final one is not; a product that may have been taken is not, metadata is."""
    double.fail(kind, **fault)

    with pytest.raises(DeliveryError, match=r"a\.png.*: the data proxy "):
        publish(impatient)
    assert again == (len(double.seen(kind)) > 1)


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch, double: DataProxy, tmp_path: Path) -> None:
    """Where nothing listens, every call ends in an error of one line; only the first call waits for it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    tries: list[float] = []
    monkeypatch.setattr("quadrat.stores.http.FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr("quadrat.stores.http.time.sleep", tries.append)
    nobody = Proxy(url, url, 0.2)

    with pytest.raises(SourceError, match=r"one\.jpg: .*no connection"):
        nobody.fetch(f"{url}/x", tmp_path / "x", "one.jpg")
    assert tries
    tries.clear()
    with pytest.raises(SourceError, match="no connection"):
        nobody.next_item("urn:ivcap:queue:1")
    with pytest.raises(DeliveryError, match=r"a\.png: .*no connection"):
        publish(nobody)
    assert not tries
