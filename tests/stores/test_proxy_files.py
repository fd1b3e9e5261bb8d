"""Products that are files on their way through the data proxy."""

from __future__ import annotations

import hashlib
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quadrat.errors import DeliveryError
from quadrat.stores.proxy import Proxy
from tests.platform_double.proxy import DataProxy

METADATA = b'{"$schema": "urn:example:schema:a.1"}'
SIZE = 50 << 20


class _Sink(BaseHTTPRequestHandler):
    """Takes bodies without keeping them; the first post is refused for the moment."""

    protocol_version = "HTTP/1.1"
    posts: list[tuple[str | None, str]]

    def do_POST(self) -> None:
        """Read as many bytes as were announced, and note their digest."""
        told, digest = self.headers["Content-Length"], hashlib.sha256()
        left = int(told)
        while left:
            piece = self.rfile.read(min(left, 1 << 16))
            digest.update(piece)
            left -= len(piece)
        self.posts.append((told, digest.hexdigest()))
        self.send_response(503 if len(self.posts) == 1 else 201)
        body = b'{"id": "urn:ivcap:artifact:1"}'
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Proxy, list[tuple[str | None, str]]]]:
    """A proxy that keeps no bodies, and what was posted: announced length, digest."""
    monkeypatch.setattr("quadrat.stores.http.FIRST_PAUSE_S", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    posts: list[tuple[str | None, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Sink,), {"posts": posts}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Proxy(f"http://127.0.0.1:{server.server_port}", None), posts
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_large_file_is_never_in_memory(
    sink: tuple[Proxy, list[tuple[str | None, str]]], tmp_path: Path
) -> None:
    """50 MB go out piece by piece with their length told, and a second try begins at the first byte."""
    proxy, posts = sink
    made = tmp_path / "film.mp4"
    with made.open("wb") as file:
        file.write(b"begin")
        file.truncate(SIZE)
    with made.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()

    tracemalloc.start()
    proxy.publish("film.mp4", "video/mp4", made, METADATA, "urn:example:schema:a.1")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 8 << 20
    assert [(str(SIZE), digest)] * 2 == posts[:2]
    assert len(posts) == 3
    assert made.exists()


def test_a_file_and_its_bytes_make_the_same_product(double: DataProxy, tmp_path: Path) -> None:
    """Headers, body and metadata do not tell which it was."""
    made = tmp_path / "a.mp4"
    made.write_bytes(b"film" * 1000)
    proxy = Proxy(double.url, None, 0.2)

    for body in (made, made.read_bytes()):
        proxy.publish("a.mp4", "video/mp4", body, METADATA, "urn:example:schema:a.1")

    first, second = double.seen("product")
    assert sorted(first.headers.items()) == sorted(second.headers.items())
    assert first.body == second.body == made.read_bytes()


def test_a_file_that_is_gone(double: DataProxy, tmp_path: Path) -> None:
    """It is that product's error, and nothing is posted."""
    with pytest.raises(DeliveryError, match=r"a\.mp4: it cannot be read \(No such file"):
        Proxy(double.url, None, 0.2).publish(
            "a.mp4", "video/mp4", tmp_path / "a.mp4", METADATA, "urn:example:s.1"
        )
    assert double.requests == []
