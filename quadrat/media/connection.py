"""One connection to a live stream: opened, read and decoded in a thread that nobody has to wait for."""

from __future__ import annotations

import errno
import os
import re
import select
import stat
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

import av

from quadrat.errors import StreamError
from quadrat.formats import VIDEO_CONTAINERS
from quadrat.media.container import MAX_VIDEO_PIXELS

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PROTOCOLS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "rtsp": ("rtp", "srtp", "tcp", "udp"),
        "rtsps": ("rtp", "srtp", "tcp", "udp", "tls"),
        "http": ("http", "https", "httpproxy", "tcp", "tls", "crypto"),
        "https": ("http", "https", "httpproxy", "tcp", "tls", "crypto"),
        "tcp": ("tcp",),
        "udp": ("udp",),
        "rtmp": ("rtmp", "tcp"),
        "rtmps": ("rtmps", "tcp", "tls"),
    }
)
"""What an address of each kind may lead to, by FFmpeg's names: never a file of this machine."""
_RAW = ("h264", "hevc", "m4v", "mjpeg", "mpegvideo", "nut")
_OF_KIND = {"rtsp": ("rtsp", "rtp", "sdp"), "http": ("hls", "mpjpeg", "live_flv"), "rtmp": ("live_flv",)}
_PLAYLISTS = ("hls", "rtsp", "sdp")
_SLICE_MS = 100
_ANALYSE_S = 5.0
_THREADS = 2
_WITHOUT_KEY = 300
"""Frames after damage, without a key frame, from which on they are taken again: some cameras send none."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a stream is: `path` on this machine (a pipe, say), else `text`, an address of this `kind`."""

    text: str
    kind: str
    path: Path | None = None


def parse_address(text: str, name: str) -> Address:
    """Read an address, or a path; StreamError for a kind that we do not read."""
    kind = match[1].lower() if (match := re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)) else ""
    if kind == "file" or text.startswith("file:"):
        return Address(text, "file", Path(unquote(urlsplit(text).path)))
    if not kind:
        return Address(text, "file", Path(text))
    if kind not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise StreamError(
            f"addresses that begin with {kind}:// are not read", where=name, hint=f"Use {known}"
        )
    return Address(text, kind)


class Owner(Protocol):
    """Who takes what a connection gives; all of it is called from the connection's thread."""

    def give(self, link: Connection, raw: VideoFrame) -> bool:
        """Take a frame, or wait for room for it; False where the connection is not wanted any more."""

    def damaged(self, link: Connection) -> None:
        """Hear of a frame that could not be decoded."""

    def ended(self, _link: Connection) -> None:
        """Hear that no more will come; the connection's `reason` says why."""


class Connection:
    """A thread that connects and gives frames until the end, a fault, or `abandon`.

    What blocks in FFmpeg gives up by itself after `patience_s` seconds without a byte, so that an abandoned
    thread ends, and with it its socket. `alive_at` (monotonic seconds) is the owner's to keep. At the end `reason`
    is set; `finite` says that there was a whole of known length, `ran_out` that its end, or that of a stream, came
    in good order.
    """

    def __init__(self, address: Address, owner: Owner, patience_s: float, name: str) -> None:
        self.alive_at = time.monotonic()
        self.reason = ""
        self.finite = False
        self.ran_out = False
        self.codec = ""
        self.rate: float | None = None
        self._reads = False
        self._address = address
        self._owner = owner
        self._patience_s = patience_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"quadrat-stream-{name}", daemon=True)
        self._thread.start()

    def abandon(self) -> None:
        """Tell the thread to end, without waiting for it."""
        self._stop.set()

    def _work(self) -> None:
        feed: _Feed | None = None
        try:
            if self._address.path is not None:
                feed = _Feed(self._address.path, self._stop)
                self.finite = feed.finite
            with self._open(feed) as container:
                self._read(container)
            self.reason = self.reason or "it ended"
        except av.error.FFmpegError as error:  # its text has the address, and so perhaps a password
            # a web server's stream without a length ends so
            self.ran_out = error.errno == errno.EIO and self._reads and not self.finite
            early = " early" * (self.finite and error.errno == errno.EIO)
            self.reason = _said(error, self._patience_s, reads=self._reads) + early
        except OSError as error:
            self.reason = error.strerror or type(error).__name__
        except Exception as error:  # noqa: BLE001 - whatever a stream sends, it is that stream's fault
            self.reason = f"it cannot be read, {type(error).__name__}"
        finally:
            if feed is not None:
                feed.close()
            self._owner.ended(self)

    def _open(self, feed: _Feed | None) -> InputContainer:
        kind, wait = self._address.kind, self._patience_s
        formats = (*VIDEO_CONTAINERS, *_RAW, *_OF_KIND.get(kind.removesuffix("s"), ()))
        options = {
            "protocol_whitelist": ",".join(PROTOCOLS.get(kind, ("none",))),
            "format_whitelist": ",".join(formats),
            "analyzeduration": str(int(min(_ANALYSE_S, wait / 2) * 1e6)),
            "rw_timeout": str(int(wait * 1e6)),
        }
        if kind.startswith("rtsp"):
            options |= {"rtsp_transport": "tcp", "allowed_media_types": "video"}
        if kind in ("rtsp", "rtsps", "tcp"):  # for others it means something else, or nothing
            options["timeout"] = options["rw_timeout"]
        return av.open(
            self._address.text if feed is None else feed,
            "r",
            container_options=options,
            timeout=None if feed is not None else (wait, wait),
            metadata_errors="replace",
        )

    def _read(self, container: InputContainer) -> None:
        if not container.streams.video or container.streams.video[0].codec_context is None:
            self.reason = "it has no pictures that we can decode"
            return
        stream = container.streams.video[0]
        _prepare(stream)
        self.codec = stream.codec_context.codec.canonical_name
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        self.rate = rate if 0 < rate <= 240 else None
        self.finite = self.finite or _is_finite(container)
        self._reads = True
        decoder = _Decoder(self, self._owner)
        try:
            for packet in container.demux():  # all of them: else sound alone would keep this thread for ever
                if self._stop.is_set():
                    return
                if packet.stream_index == stream.index and not decoder.takes(packet, stream):
                    return
        except av.error.FFmpegError:
            decoder.takes(None, stream)
            raise
        self.ran_out = True


def _prepare(stream: VideoStream) -> None:
    stream.codec_context.options = {"max_pixels": str(MAX_VIDEO_PIXELS), "err_detect": "explode"}
    stream.thread_type = "SLICE"  # threads by frames would hold back the last frames before a stall
    stream.thread_count = _THREADS


def _is_finite(container: InputContainer) -> bool:
    """Whether the source is a whole of known length, such as a file on a web server; its end is the end."""
    playlist = any(name in _PLAYLISTS for name in container.format.name.split(","))
    return bool(container.duration) if playlist else container.size > 0


class _Decoder:
    """Packets to frames; from damage on, none until the next key frame, as they would look like pictures."""

    def __init__(self, link: Connection, owner: Owner) -> None:
        self._link = link
        self._owner = owner
        self._begun = False
        self._damage = 0

    def takes(self, packet: Packet[Any] | None, stream: VideoStream) -> bool:
        """Decode a packet, or without one what is held back, and give its frames; False where none are wanted."""
        try:
            frames = stream.codec_context.decode(packet)
        except av.error.EOFError:
            return True
        except av.error.FFmpegError:
            self._spoilt()
            return True
        return all(self._takes(frame) for frame in frames)

    def _takes(self, frame: VideoFrame) -> bool:
        if frame.key_frame or self._damage > _WITHOUT_KEY:
            self._damage = 0
        if frame.is_corrupt or self._damage:
            self._spoilt()
            return True
        self._begun = True
        return self._owner.give(self._link, frame)

    def _spoilt(self) -> None:
        """Count a damaged frame; those before the first whole one are none, as one joins in the middle."""
        if self._begun:
            self._damage += 1
            self._owner.damaged(self._link)


class _Feed:
    """A pipe, device or file read by its bytes alone; a read ends soon after `stop` is set."""

    def __init__(self, path: Path, stop: threading.Event) -> None:
        self._stop = stop
        self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._handle, select.POLLIN)
        self.finite = stat.S_ISREG(os.fstat(self._handle).st_mode)

    def read(self, size: int) -> bytes:
        """Give up to `size` bytes as soon as there are some; none at the end."""
        while not self._stop.is_set():
            if self._poll.poll(_SLICE_MS):
                try:
                    return os.read(self._handle, size)
                except BlockingIOError:
                    continue
        raise EOFError

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


def _said(error: av.error.FFmpegError, patience_s: float, *, reads: bool) -> str:
    """Say in a few words what FFmpeg says with the whole address; `reads` where frames were asked for already."""
    if isinstance(error, av.error.ExitError | av.error.TimeoutError):
        # the watch of the reader may notice the same silence first: the words are its own
        return f"no {'frame' if reads else 'answer'} for {patience_s:.1f} s"
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return "it sends no video that we read"
    if error.errno == errno.EIO:
        return "it ended"
    return error.strerror or type(error).__name__
