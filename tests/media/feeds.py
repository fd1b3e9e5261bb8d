"""Local servers that stream MPEG-TS and fail like cameras; each connection follows its own script."""

from __future__ import annotations

import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import av
from av.bitstream import BitStreamFilterContext

from tests import videos

PIECE = 188 * 7
LIVE = {"g": "5", "bf": "0", "tune": "zerolatency", "preset": "ultrafast"}
Kind = Literal["http", "sized", "tcp"]
HEADS = {
    "http": b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n",
    "sized": b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
    "tcp": b"",
}


def transport(folder: Path, count: int, first: int = 0, hw: tuple[int, int] = videos.HW) -> bytes:
    """Return `count` frames of the numbered scene as MPEG-TS at 25 frames/s, with a key frame every five frames."""
    path = folder / f"{first}-{count}-{hw[0]}.ts"
    videos.write(path, videos.frames(count, hw, first=first), options=LIVE)
    return path.read_bytes()


def turned(folder: Path, count: int, first: int, rotate: int) -> bytes:
    """Return the same with a display matrix in key frames only, for a rotation by 90, 180 or 270 degrees."""
    path, out = folder / f"{first}-{rotate}.ts", io.BytesIO()
    path.write_bytes(transport(folder, count, first))
    with av.open(str(path)) as file, av.open(out, "w", format="mpegts") as sent:
        stream = file.streams.video[0]
        into = sent.add_stream_from_template(stream)
        word = BitStreamFilterContext(f"h264_metadata=display_orientation=insert:rotate={rotate}", stream)
        for packet in (*file.demux(stream), None):
            if packet is None or packet.size:
                for changed in word.filter(packet):
                    changed.stream = into
                    sent.mux(changed)
    return out.getvalue()


class Line:
    """The server side of one connection, for use in a script."""

    def __init__(self, peer: socket.socket, over: threading.Event, request: bytes) -> None:
        self.request = request
        self._peer = peer
        self._over = over

    def send(self, data: bytes, seconds: float = 0.0) -> None:
        """Send bytes, spread over this many seconds."""
        pieces = [data[n : n + PIECE] for n in range(0, len(data), PIECE)]
        for piece in pieces:
            self._peer.sendall(piece)
            if seconds:
                self.wait(seconds / len(pieces))

    def request_from(self, rest: bytes) -> tuple[str, bytes]:
        """Read a request up to its empty line, after `rest`; return b"" if the connection is closed."""
        while b"\r\n\r\n" not in rest:
            piece = self._peer.recv(4096)
            if not piece:
                return "", b""
            rest += piece
        request, _, rest = rest.partition(b"\r\n\r\n")
        return request.decode(), rest

    def wait(self, seconds: float = 60.0) -> None:
        """Send nothing, at most until the test ends."""
        if self._over.wait(seconds):
            raise ConnectionAbortedError

    def reset(self) -> None:
        """Close the connection abruptly."""
        self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Script = Callable[[Line], None]


class Feed:
    """A server; its n-th connection runs the n-th script, and all later ones the last script."""

    def __init__(self, kind: Kind, scripts: Sequence[Script], size: int = 0) -> None:
        self.lines: list[Line] = []
        self._kind = kind
        self._scripts = scripts
        self._head = HEADS[kind] % size if kind == "sized" else HEADS[kind]
        self._over = threading.Event()
        self._open: set[socket.socket] = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def place(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def url(self) -> str:
        """The address for a reader."""
        return f"tcp://{self.place}" if self._kind == "tcp" else f"http://{self.place}/live.ts"

    @property
    def calls(self) -> int:
        """The number of connections so far."""
        return len(self.lines)

    @property
    def connected(self) -> int:
        """The connections that the client has not closed."""
        return sum(not _is_closed(peer) for peer in list(self._open))

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                self._open.add(peer)
                thread = threading.Thread(target=self._serve, args=(peer, len(self.lines)), daemon=True)
                request = peer.recv(4096) if self._kind != "tcp" else b""
                self.lines.append(Line(peer, self._over, request))
                self._threads.append(thread)
                thread.start()

    def _serve(self, peer: socket.socket, number: int) -> None:
        with suppress(OSError):
            if self._head:
                peer.sendall(self._head)
            self._scripts[min(number, len(self._scripts) - 1)](self.lines[number])
        self._open.discard(peer)
        peer.close()

    def stop(self) -> None:
        """Close all connections."""
        self._over.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for peer in list(self._open):
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)


def _is_closed(peer: socket.socket) -> bool:
    try:
        return peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextmanager
def feed(kind: Kind, *scripts: Script, size: int = 0) -> Iterator[Feed]:
    """Run a server for the duration of a with block."""
    server = Feed(kind, scripts, size)
    try:
        yield server
    finally:
        server.stop()
