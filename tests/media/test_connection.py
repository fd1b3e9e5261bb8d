"""Stream addresses: supported schemes, and no access to other protocols or local files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from quadrat.errors import StreamError
from quadrat.media.connection import PROTOCOLS, parse_address
from quadrat.media.stream import StreamReader, open_stream
from quadrat.parameters import FrameSettings, StreamSettings
from quadrat.types import Source
from tests import videos
from tests.media import rtsp
from tests.media.feeds import feed, transport
from tests.media.streams import reader

HEAD = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"
LURES = {
    "list.m3u8": HEAD + "#EXTINF:1.0,\nfile://{secret}\n#EXT-X-ENDLIST\n",
    "path.m3u8": HEAD + "#EXTINF:1.0,\n{secret}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile {secret}\n",
    "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 33\n",
}
"""Playlists that refer to a local file or port."""


class _Handler(SimpleHTTPRequestHandler):
    """A web server; /away redirects to a local file."""

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", f"file://{self.directory}/secret.ts")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server for the folder, with two segments of a scene and the malicious playlists."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, first in (("a.ts", 0), ("b.ts", 100), ("secret.ts", 200)):
        (tmp_path / name).write_bytes(transport(tmp_path, 10, first))
    for name, text in LURES.items():
        (tmp_path / name).write_text(text.format(secret=tmp_path / "secret.ts"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def read(address: str, last: int = -1, **settings: Any) -> tuple[list[int], StreamReader]:
    """Read a stream up to frame `last` or its end; return the numbers of its frames."""
    stream = reader(address, **{"reconnect_seconds": 0.0, **settings})
    found = []
    for frame in stream:
        found.append(videos.number(frame.pixels))
        if found[-1] == last:
            stream.close()
    return found, stream


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        ("rtsp://u:p@host:554/a?b=c", "rtsp", None),
        ("HTTPS://host/a", "https", None),
        ("udp://@239.0.0.1:1234", "udp", None),
        ("file:///a%20b/c.ts", "file", "/a b/c.ts"),
        ("file:/a/c.ts", "file", "/a/c.ts"),
        ("/dev/video0", "file", "/dev/video0"),
        ("pipes/a.ts", "file", "pipes/a.ts"),
    ],
)
def test_addresses(text: str, kind: str, path: str | None) -> None:
    """An address is identified by its scheme; without one it is a path."""
    address = parse_address(text, "cam")
    assert (kind, None if path is None else Path(path)) == (address.kind, address.path)


@pytest.mark.parametrize(
    "text", ["ftp://h/x", "concat:a|b", "subfile,,start,0,end,0,,:/etc/passwd", "gopher://u:p@h", "pipe:0"]
)
def test_other_kinds_are_refused_or_mere_paths(text: str) -> None:
    """Other schemes of FFmpeg open nothing: they are refused, or taken as the name of a file."""
    with pytest.raises(StreamError) as caught:
        read(text)
    assert "No such file" in str(caught.value) or "are not supported" in str(caught.value)
    assert "u:p" not in str(caught.value)


def test_no_kind_may_open_a_file() -> None:
    """The allowed protocols are network protocols."""
    assert not {"file", "pipe", "data", "concat", "subfile", "fd"} & {
        p for may in PROTOCOLS.values() for p in may
    }


@pytest.mark.parametrize("lure", [*LURES, "away"])
def test_a_stream_leads_to_no_file_of_this_machine(web: str, tmp_path: Path, lure: str) -> None:
    """A playlist or redirect to a local file is refused."""
    with pytest.raises(StreamError, match="cannot be reached"):
        read(f"{web}/{lure}")
    if lure in LURES:
        with pytest.raises(StreamError, match="sends no supported video"):
            read(str(tmp_path / lure))
        text = (tmp_path / lure).read_bytes() + b"\n" * 5000
        with feed("tcp", lambda line: line.send(text)) as server, pytest.raises(StreamError):
            read(server.url)


def test_a_playlist_of_the_web_is_read(web: str, tmp_path: Path) -> None:
    """The segments of an HLS playlist are one stream, which ends if the playlist says so."""
    (tmp_path / "dive.m3u8").write_text(
        HEAD + "#EXTINF:0.4,\na.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:0.4,\nb.ts\n#EXT-X-ENDLIST\n"
    )
    numbers, stream = read(f"{web}/dive.m3u8", reconnect_seconds=10.0)

    assert [*range(10), *range(100, 110)] == numbers
    assert (None, ()) == (stream.reading.error, stream.reading.gaps)


def test_a_camera(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """RTSP with a password is read, lost without an error and reconnected, with one TCP connection at a time."""
    ts, later = transport(tmp_path, 20), transport(tmp_path, 20, 100)
    with feed(
        "tcp", lambda line: rtsp.serve(line, ts, then=60), lambda line: rtsp.serve(line, later, then=60)
    ) as server:
        numbers, stream = read(
            f"rtsp://admin:geheim@{server.place}/ch1",
            last=102,
            stall_seconds=1.0,
            reconnect_seconds=20.0,
        )
        wrong = f"rtsp://admin:falsch@{server.place}/ch1"
        with pytest.raises(StreamError, match="401 Unauthorized") as caught:
            read(wrong)

    first = [n for n in numbers if n < 100]
    assert first == list(range(len(first)))
    assert len(first) >= 15
    assert numbers[len(first) :] == [100, 101, 102]
    (gap,) = stream.reading.gaps
    assert gap.reason.startswith("no frame for ")
    text = "".join((*capfd.readouterr(), caplog.text, repr(stream.reading), repr(caught.value)))
    assert "geheim" not in text
    assert "falsch" not in text


def test_sound_alone_is_no_stream_of_pictures(tmp_path: Path) -> None:
    """The error says that a source has no video, and its connection is closed."""
    path = videos.with_sound(tmp_path / "sound.ts", [], seconds=1.0)
    with (
        feed("tcp", lambda line: line.send(path.read_bytes())) as server,
        pytest.raises(StreamError, match="no video in a supported codec"),
    ):
        read(server.url)


def test_an_unknown_kind_of_address() -> None:
    """The scheme is checked before connecting."""
    with pytest.raises(StreamError, match="with ftp:// are not supported"):
        open_stream(
            Source("urn:stream:cam", "cam", "stream", "ftp://u:geheim@host/x"),
            FrameSettings(),
            StreamSettings(),
        )
