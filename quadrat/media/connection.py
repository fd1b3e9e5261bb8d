"""A connection to a live stream, opened, read and decoded in its own thread, which can be abandoned."""

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
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

import av

from quadrat.errors import StreamError
from quadrat.formats import VIDEO_CONTAINERS
from quadrat.media.container import MAX_VIDEO_PIXELS, stated_rate

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
"""Protocols that an address of each scheme may use, by FFmpeg's names; never local files."""
_RAW = ("h264", "hevc", "m4v", "mjpeg", "mpegvideo", "nut")
_FORMATS_BY_KIND = {
    "rtsp": ("rtsp", "rtp", "sdp"),
    "http": ("hls", "mpjpeg", "live_flv"),
    "rtmp": ("live_flv",),
}
_PLAYLISTS = ("hls", "rtsp", "sdp")
_POLL_MS = 100
_MAX_RATE = 240
_MAX_ANALYSIS_S = 5.0
_THREADS = 2
_MAX_SKIPPED = 300
"""Frames skipped after damage while waiting for a key frame: some cameras never send one."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a stream: a local `path` (a pipe, for example), or `text` with the scheme `kind`."""

    text: str
    kind: str
    path: Path | None = None


def parse_address(text: str, name: str) -> Address:
    """Parse an address or a path; raise StreamError for an unsupported scheme."""
    kind = match[1].lower() if (match := re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)) else ""
    if kind == "file" or text.startswith("file:"):
        return Address(text, "file", Path(unquote(urlsplit(text).path)))
    if not kind:
        return Address(text, "file", Path(text))
    if kind not in PROTOCOLS:
        raise StreamError(
            f"addresses with {kind}:// are not supported", where=name, hint=f"Use {', '.join(PROTOCOLS)}"
        )
    return Address(text, kind)


class Listener(Protocol):
    """Receives the frames and events of a connection, in the connection's thread."""

    def on_frame(self, connection: Connection, raw: VideoFrame) -> bool:
        """Accept a frame, waiting for space if necessary; return False if the connection is no longer needed."""

    def on_damage(self, connection: Connection) -> None:
        """Handle a frame that could not be decoded."""

    def on_end(self, _connection: Connection) -> None:
        """Handle the end of the connection; its `reason` states why."""


class Connection:
    """A thread that connects and passes frames to its listener until the end, an error, or `abandon`.

    Blocking calls in FFmpeg time out after `timeout_s` seconds without data, so that an abandoned thread ends and
    closes its socket. The listener maintains `last_active_at` (monotonic seconds). At the end, `reason` is set;
    `finite` is True for a source of known length, and `ended_normally` if the source or stream ended without error.
    """

    def __init__(self, address: Address, listener: Listener, timeout_s: float, name: str) -> None:
        self.last_active_at = time.monotonic()
        self.reason = ""
        self.finite = False
        self.ended_normally = False
        self.codec = ""
        self.rate: float | None = None
        self.aspect: Fraction | None = None
        self._reading = False
        self._address = address
        self._listener = listener
        self._timeout_s = timeout_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"quadrat-stream-{name}", daemon=True)
        self._thread.start()

    def abandon(self) -> None:
        """Ask the thread to end, without waiting for it."""
        self._stop.set()

    def _work(self) -> None:
        local: _LocalFile | None = None
        try:
            if self._address.path is not None:
                local = _LocalFile(self._address.path, self._stop)
                self.finite = local.finite
            with self._open(local) as container:
                self._read(container)
            self.reason = self.reason or "it ended"
        except av.error.FFmpegError as error:  # its message contains the address, and perhaps a password
            # a web server's stream without a length ends this way
            self.ended_normally = error.errno == errno.EIO and self._reading and not self.finite
            early = " early" * (self.finite and error.errno == errno.EIO)
            self.reason = _describe(error, self._timeout_s, reading=self._reading) + early
        except OSError as error:
            self.reason = error.strerror or type(error).__name__
        except Exception as error:  # noqa: BLE001 - an invalid stream can raise anything
            self.reason = f"reading failed with {type(error).__name__}"
        finally:
            if local is not None:
                local.close()
            self._listener.on_end(self)

    def _open(self, local: _LocalFile | None) -> InputContainer:
        kind, wait = self._address.kind, self._timeout_s
        formats = (*VIDEO_CONTAINERS, *_RAW, *_FORMATS_BY_KIND.get(kind.removesuffix("s"), ()))
        options = {
            "protocol_whitelist": ",".join(PROTOCOLS.get(kind, ("none",))),
            "format_whitelist": ",".join(formats),
            "analyzeduration": str(int(min(_MAX_ANALYSIS_S, wait / 2) * 1e6)),
            "rw_timeout": str(int(wait * 1e6)),
        }
        if kind.startswith("rtsp"):
            options |= {"rtsp_transport": "tcp", "allowed_media_types": "video"}
        if kind in ("rtsp", "rtsps", "tcp"):  # other protocols ignore or redefine it
            options["timeout"] = options["rw_timeout"]
        return av.open(
            self._address.text if local is None else local,
            "r",
            container_options=options,
            timeout=None if local is not None else (wait, wait),
            metadata_errors="replace",
        )

    def _read(self, container: InputContainer) -> None:
        if not container.streams.video or container.streams.video[0].codec_context is None:
            self.reason = "it has no video in a supported codec"
            return
        stream = container.streams.video[0]
        _configure(stream)
        self.codec = stream.codec_context.codec.canonical_name
        rate = stated_rate(container, stream)
        self.rate = rate if rate is not None and rate <= _MAX_RATE else None
        self.aspect = stream.sample_aspect_ratio
        self.finite = self.finite or _is_finite(container)
        self._reading = True
        decoder = _Decoder(self, self._listener)
        try:
            for packet in container.demux():  # all streams, to see `stop` even if only audio arrives
                if self._stop.is_set():
                    return
                if packet.stream_index == stream.index and not decoder.decode(packet, stream):
                    return
        except av.error.FFmpegError:
            decoder.decode(None, stream)
            raise
        self.ended_normally = True


def _configure(stream: VideoStream) -> None:
    stream.codec_context.options = {"max_pixels": str(MAX_VIDEO_PIXELS), "err_detect": "explode"}
    stream.thread_type = "SLICE"  # frame threads would delay the last frames before a stall
    stream.thread_count = _THREADS


def _is_finite(container: InputContainer) -> bool:
    """Return True if the source has a known length, such as a file on a web server."""
    playlist = any(name in _PLAYLISTS for name in container.format.name.split(","))
    return bool(container.duration) if playlist else container.size > 0


class _Decoder:
    """Decodes packets; after damage, frames are skipped until the next key frame, as they would be corrupt."""

    def __init__(self, connection: Connection, listener: Listener) -> None:
        self._connection = connection
        self._listener = listener
        self._started = False
        self._skipped = 0

    def decode(self, packet: Packet[Any] | None, stream: VideoStream) -> bool:
        """Decode a packet, or flush the decoder if None, and pass its frames on; return False if no more are needed."""
        try:
            frames = stream.codec_context.decode(packet)
        except av.error.EOFError:
            return True
        except av.error.FFmpegError:
            self._count_damage()
            return True
        return all(self._pass_on(frame) for frame in frames)

    def _pass_on(self, frame: VideoFrame) -> bool:
        if frame.key_frame or self._skipped > _MAX_SKIPPED:
            self._skipped = 0
        if frame.is_corrupt or self._skipped:
            self._count_damage()
            return True
        self._started = True
        return self._listener.on_frame(self._connection, frame)

    def _count_damage(self) -> None:
        """Count a damaged frame, unless it is before the first intact one: streams are joined in the middle."""
        if self._started:
            self._skipped += 1
            self._listener.on_damage(self._connection)


class _LocalFile:
    """A pipe, device or file without a name, which FFmpeg could interpret; reads end soon after `stop` is set."""

    def __init__(self, path: Path, stop: threading.Event) -> None:
        self._stop = stop
        self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._handle, select.POLLIN)
        self.finite = stat.S_ISREG(os.fstat(self._handle).st_mode)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes as soon as some are available, or none at the end."""
        while not self._stop.is_set():
            if self._poll.poll(_POLL_MS):
                try:
                    return os.read(self._handle, size)
                except BlockingIOError:
                    continue
        raise EOFError

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


def _describe(error: av.error.FFmpegError, timeout_s: float, *, reading: bool) -> str:
    """Describe an FFmpeg error without the address; `reading` is True once frames are being read."""
    if isinstance(error, av.error.ExitError | av.error.TimeoutError):
        # the same words as StreamReader, which may detect the timeout first
        return f"no {'frame' if reading else 'answer'} for {timeout_s:.1f} s"
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return "it sends no supported video"
    if error.errno == errno.EIO:
        return "it ended"
    return error.strerror or type(error).__name__
