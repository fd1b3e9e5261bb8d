"""Requests that end, whatever a server does; contents that arrive as they are."""

from __future__ import annotations

import gzip
import io
import socket
import tarfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests

from quadrat.errors import SourceError
from quadrat.stores import http
from quadrat.stores.http import PassingFaultError, Retry, ask, download, may_pass
from tests.waiting import LIMIT_S

Server = Callable[[socket.socket, threading.Event], None]


@contextmanager
def serving(answer: Server) -> Iterator[str]:
    """Answer each connection by `answer`, which gets the socket and an event that is set at the end."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def work() -> None:
            while not over.is_set():
                with suppress(OSError):
                    peer, _ = listening.accept()
                    threading.Thread(target=talk, args=(peer,), daemon=True).start()

        def talk(peer: socket.socket) -> None:
            with peer, suppress(OSError):
                peer.recv(65536)
                answer(peer, over)

        threading.Thread(target=work, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/a"
        over.set()


def reply(body: bytes, *headers: str, status: str = "200 OK") -> Server:
    """Answer with a body and headers."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return lambda peer, over: peer.sendall("\r\n".join(lines).encode() + body)


def trickle(first: bytes, more: bytes) -> Server:
    """Send a beginning, then the same piece again and again without an end."""

    def answer(peer: socket.socket, over: threading.Event) -> None:
        peer.sendall(first)
        while not over.wait(0.02):
            peer.sendall(more)

    return answer


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use no proxy of this machine."""
    monkeypatch.setenv("no_proxy", "*")


HEADER = trickle(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x")
BODY = trickle(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")


@pytest.mark.parametrize(
    ("method", "server"),
    [
        *((method, HEADER) for method in ("GET", "HEAD", "POST", "DELETE")),
        *((method, BODY) for method in ("GET", "POST", "DELETE")),
    ],
)
def test_a_request_has_a_deadline_for_the_whole(
    monkeypatch: pytest.MonkeyPatch, server: Server, method: str
) -> None:
    """A limit between two bytes is none for a server that sends one byte after the other."""
    monkeypatch.setattr(http, "CALL_S", 0.3)
    with (
        serving(server) as url,
        pytest.raises(requests.Timeout, match=r"no complete response in 0\.3 seconds"),
    ):
        ask(method, url)


def test_a_download_has_a_deadline_for_the_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its header may trickle as well as its content."""
    monkeypatch.setattr(http, "LONGEST_S", 0.3)
    monkeypatch.setattr(http, "TIMEOUT_S", (0.5, 5.0))
    with (
        serving(HEADER) as url,
        pytest.raises(requests.Timeout),
    ):
        download(url, tmp_path / "a", "a", 100)
    with (
        serving(trickle(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * (1 << 20))) as url,
        pytest.raises(SourceError, match=r"took more than 0\.3 seconds"),
    ):
        download(url, tmp_path / "a", "a", 1 << 40)


def tar_gz() -> bytes:
    """Make a small archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("model.onnx"))
    return stream.getvalue()


def raw_deflate(content: bytes) -> bytes:
    """Compress without the frame of zlib, as some servers do."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


CONTENT = bytes(range(256)) * 20_000


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("", CONTENT),
        ("identity", CONTENT),
        ("gzip", gzip.compress(CONTENT)),
        ("x-gzip", gzip.compress(CONTENT)),
        ("GZIP", gzip.compress(CONTENT)),
        ("gzip", gzip.compress(CONTENT[:999]) + gzip.compress(CONTENT[999:])),
        ("deflate", zlib.compress(CONTENT)),
        ("deflate", raw_deflate(CONTENT)),
    ],
)
def test_a_content_arrives_as_it_is(tmp_path: Path, encoding: str, sent: bytes) -> None:
    """However it is encoded for the way."""
    header = [f"Content-Encoding: {encoding}"] if encoding else []
    with serving(reply(sent, *header)) as url:
        download(url, tmp_path / "a", "a", len(CONTENT))
    assert CONTENT == (tmp_path / "a").read_bytes()


@pytest.mark.parametrize("encoding", ["", "gzip", "x-gzip"])
def test_an_archive_stays_compressed(tmp_path: Path, encoding: str) -> None:
    """Servers state the compression of a model.tgz as an encoding, though it belongs to the file."""
    with serving(reply(tar_gz(), f"Content-Encoding: {encoding}")) as url:
        download(url, tmp_path / "a", "a", 1 << 20)
    assert tar_gz() == (tmp_path / "a").read_bytes()


def test_a_small_stream_cannot_become_a_large_file(tmp_path: Path) -> None:
    """The limit holds for the decoded content, and nothing beyond it is written."""
    with (
        serving(reply(gzip.compress(bytes(64 << 20)), "Content-Encoding: gzip")) as url,
        pytest.raises(SourceError, match="larger than 1000000 bytes"),
    ):
        download(url, tmp_path / "a", "a", 1_000_000)
    assert (tmp_path / "a").stat().st_size <= 1_000_000


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    """Its bytes are no picture; the error names the encoding."""
    with (
        serving(reply(b"abc", "Content-Encoding: br")) as url,
        pytest.raises(SourceError, match=r"one\.jpg: its content is encoded as 'br'"),
    ):
        download(url, tmp_path / "a", "one.jpg", 100)


@pytest.mark.parametrize("sent", [gzip.compress(CONTENT)[:-9], b"no gzip", gzip.compress(CONTENT)[:40]])
def test_a_damaged_encoding_may_pass(tmp_path: Path, sent: bytes) -> None:
    """It is fetched again."""
    with (
        serving(reply(sent, "Content-Encoding: gzip")) as url,
        pytest.raises(requests.RequestException) as caught,
    ):
        download(url, tmp_path / "a", "a", 1 << 30)
    assert may_pass(caught.value)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("7", 7, 7),
        (" 0 ", 0, 0),
        ("in 1000 seconds", 900, 1000),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("soon", 0, 0),
        ("-3", 0, 0),
        ("", 0, 0),
    ],
)
def test_the_pause_that_a_server_asks_for(text: str, least: float, most: float) -> None:
    """Seconds or a date; anything else asks for nothing."""
    if text == "in 1000 seconds":  # as a date
        text = format_datetime(datetime.now(UTC) + timedelta(seconds=1000), usegmt=True)
    with (
        serving(reply(b"", f"Retry-After: {text}", status="429 Too Many Requests")) as url,
        pytest.raises(PassingFaultError, match="429 Too Many Requests") as caught,
    ):
        ask("GET", url)
    assert least <= caught.value.after_s <= most


class Flaky:
    """Fails in passing a number of times, with a pause asked for; then succeeds."""

    def __init__(self, times: int, after_s: float = 0.0) -> None:
        self.left = times
        self.after_s = after_s
        self.calls = 0

    def __call__(self) -> str:
        """Act once."""
        self.calls += 1
        self.left -= 1
        if self.left >= 0:
            raise PassingFaultError("503 Service Unavailable", self.after_s)
        return "done"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was waited, without waiting: the clock is moved instead."""
    clock = [1000.0]
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        waited.append(seconds)

    monkeypatch.setattr(http.time, "sleep", sleep)
    monkeypatch.setattr(http.time, "monotonic", lambda: clock[0])
    return waited


def test_minutes_of_trouble_are_waited_out(pauses: list[float]) -> None:
    """Pauses grow to half a minute, not beyond."""
    flaky = Flaky(12)
    assert "done" == Retry(300.0).call(flaky, may_pass)
    assert 13 == flaky.calls
    assert pytest.approx(0.25 + 0.5 + 1 + 2 + 4 + 8 + 16 + 5 * 30) == sum(pauses)


def test_the_servers_pause_is_honoured(pauses: list[float]) -> None:
    """It is waited for in full, and an order that has less time gives up at once."""
    assert "done" == Retry(300.0).call(Flaky(1, after_s=120.0), may_pass)
    assert 120.0 == pytest.approx(sum(pauses))
    pauses.clear()
    impatient = Flaky(1, after_s=120.0)
    with pytest.raises(PassingFaultError):
        Retry(100.0).call(impatient, may_pass)
    assert (1, []) == (impatient.calls, pauses)


def test_a_dead_server_is_waited_for_once(pauses: list[float]) -> None:
    """Not once for each of a thousand images; after a success the time begins anew."""
    retry = Retry(60.0)
    for _ in range(1000):
        with pytest.raises(PassingFaultError):
            retry.call(Flaky(10**6), may_pass)
    assert sum(pauses) <= 60.0

    assert "done" == retry.call(Flaky(0), may_pass)
    pauses.clear()
    assert "done" == retry.call(Flaky(3), may_pass)
    assert pytest.approx(1.75) == sum(pauses)


def test_a_long_quiet_time_uses_up_no_patience(pauses: list[float]) -> None:
    """Between two requests an order may measure for hours."""
    retry = Retry(60.0)
    retry.call(Flaky(0), may_pass)
    http.time.sleep(10_000.0)
    assert "done" == retry.call(Flaky(5), may_pass)


def test_a_final_error_and_a_hurry_end_the_wait(pauses: list[float]) -> None:
    """Neither is waited for."""
    with pytest.raises(PassingFaultError):
        Retry(60.0).call(Flaky(1), lambda error: False)
    flaky = Flaky(1)
    with pytest.raises(PassingFaultError):
        Retry(60.0).call(flaky, may_pass, lambda: True)
    assert (1, []) == (flaky.calls, pauses)


def test_the_time_between_pieces_is_still_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that falls silent is noticed before the deadline for the whole."""
    monkeypatch.setattr(http, "TIMEOUT_S", (5.0, 0.1))
    begin = time.monotonic()
    with serving(lambda peer, over: over.wait(LIMIT_S) or None) as url, pytest.raises(requests.Timeout):
        ask("GET", url)
    assert time.monotonic() - begin < http.CALL_S
