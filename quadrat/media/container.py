"""Open a video file, without following references to other files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import av

from quadrat.errors import ImageSizeError, QuadratError, VideoFormatError, VideoTruncatedError
from quadrat.formats import EXTRA_FORMATS, IMAGE_FORMATS, VIDEO_CONTAINERS
from quadrat.media.kinds import PICTURE_HINT, looks_like

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

MAX_VIDEO_PIXELS = 36_000_000
"""Limit of one frame: 8192 x 4352, the maximum of H.264 and H.265. A decoder holds up to twenty frames at once,
about one gigabyte."""

_BUFFER = 1 << 18
_RAW = ("h264", "hevc")
"""Raw streams have no container: FFmpeg gives them 25 frames/s, and only their parameter sets state the rate."""
_MIN_RATE, _MAX_RATE = 1 / 86_400, 1000
_COVER_ART = 0x400
_PLAYLISTS: tuple[tuple[bytes, str], ...] = (
    (b"#extm3u", "a playlist (m3u8) of other files"),
    (b"ffconcat", "a playlist (ffconcat) of other files"),
    (b"v=0", "a description of a stream (sdp)"),
    (b"<mpd", "a playlist (DASH) of other files"),
    (b"<smil", "a playlist (SMIL) of other files"),
)
_BOXES = (b"ftyp", b"moov", b"mdat")
_VIDEO_MAGIC = ((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (0, b"\x1aE\xdf\xa3"), (8, b"AVI "))


class _UnnamedFile:
    """A file without a name, which FFmpeg could interpret as a pattern or an address."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


@dataclass(slots=True, eq=False)
class OpenVideo:
    """An open container with its video stream, and the file it is read from."""

    name: str
    file: IO[bytes]
    container: InputContainer
    stream: VideoStream
    others: tuple[Stream, ...]

    @property
    def in_coded_order(self) -> bool:
        """True if the container stores no presentation times: its timestamps count coded frames."""
        return self.container.format.name == "avi"

    @property
    def warnings(self) -> list[str]:
        """What the headers say that makes a measurement doubtful or incomplete."""
        videos = sum(not _is_cover(each) for each in self.container.streams.video)
        found = []
        if videos > 1:
            found.append(f"only the first of its {videos} video streams is measured")
        if self.container.format.name in _RAW and stated_rate(self.container, self.stream) is None:
            found.append(
                "it states no frame rate, so its times assume 25 frames/s: put it into an MP4 file that states the rate"
            )
        return found

    def restart(self) -> None:
        """Reopen the container at the start of the file."""
        self.container.close()
        self.container, self.stream, self.others = _read_headers(self.file, self.name)

    def is_truncated(self) -> bool:
        """Return True if the file is shorter than its top-level boxes (MP4) or its first chunk (AVI) state."""
        self.file.seek(0)
        head = self.file.read(12)
        end = self.file.seek(0, 2)
        if head[4:8] in _BOXES:
            return sum(size for _, size in _boxes(self.file)) > end
        return head[:4] == b"RIFF" and int.from_bytes(head[4:8], "little") + 8 > end

    def close(self) -> None:
        """Close the container and the file."""
        self.container.close()
        self.file.close()


def open_container(path: Path, name: str) -> OpenVideo:
    """Open a video file for decoding; no other file is read, whatever its content.

    Errors refer to the file as `name`. Before any frame is decoded, raises VideoFormatError for a file that is not
    a supported video or has no video stream, VideoTruncatedError if its index is missing, and ImageSizeError for
    frames of more than MAX_VIDEO_PIXELS.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise VideoFormatError(f"it cannot be read ({error.strerror})", where=name) from error
    try:
        return OpenVideo(name, file, *_read_headers(file, name))
    except BaseException:
        file.close()
        raise


def _read_headers(file: IO[bytes], name: str) -> tuple[InputContainer, VideoStream, tuple[Stream, ...]]:
    """Read the headers; return the container, its video stream, and the other audio and video streams."""
    file.seek(0)
    head = file.read(1024)
    _refuse_playlists(head, name)
    file.seek(0)
    container = _open(file, head, name)
    try:
        stream = _choose_stream(container, name)
    except BaseException:
        container.close()
        raise
    others = tuple(s for s in container.streams if s.index != stream.index and s.type in ("audio", "video"))
    return container, stream, others


def _refuse_playlists(head: bytes, name: str) -> None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        raise VideoTruncatedError("the file is empty", where=name, hint="Copy it again")
    for magic, kind in _PLAYLISTS:
        if text.startswith(magic) or (magic.startswith(b"<") and magic in text):
            raise VideoFormatError(f"this is {kind}, not a video", where=name, hint="Give the video itself")


def _refuse_reference(url: str, *_: Any) -> NoReturn:
    raise VideoFormatError(f"it refers to another file ({url[:80]!r})", hint="Give the video itself")


def _open(file: IO[bytes], head: bytes, name: str) -> InputContainer:
    try:
        return av.open(
            _UnnamedFile(file),
            "r",
            # No stream options: with them, PyAV before 18 crashes on formats without a list of streams in the header.
            container_options={"format_whitelist": ",".join(VIDEO_CONTAINERS), "protocol_whitelist": "none"},
            buffer_size=_BUFFER,
            io_open=_refuse_reference,
            metadata_errors="replace",
        )
    except QuadratError as error:
        raise VideoFormatError(error.what, where=name, hint=error.hint) from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(file, head, name) from error


def _unreadable(file: IO[bytes], head: bytes, name: str) -> QuadratError:
    """Return an error that explains why FFmpeg could not open the file."""
    if not any(head.startswith(magic, offset) for offset, magic in _VIDEO_MAGIC):
        kind = looks_like(head)
        is_picture = kind in (*IMAGE_FORMATS, *EXTRA_FORMATS)
        hint = PICTURE_HINT if is_picture else "Use MP4, MKV or AVI"
        kind = f"a {kind} picture" if is_picture else kind
        return VideoFormatError(f"this is {kind}, not a supported video", where=name, hint=hint)
    boxes = dict(_boxes(file)) if head[4:8] in _BOXES else {b"moov": 0}
    if b"moov" not in boxes:
        return VideoTruncatedError(
            "the video ends early: its index (moov) is missing",
            where=name,
            hint="Copy it again, or stop the recording properly",
        )
    return VideoTruncatedError("the video's header is damaged or cut off", where=name, hint="Copy it again")


def _boxes(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield the type and size of an MP4's top-level boxes that start in the file."""
    end = file.seek(0, 2)
    at = 0
    while at + 8 <= end:
        file.seek(at)
        header = file.read(16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        size = int.from_bytes(header[8:16], "big") if size == 1 else size or end - at
        yield kind, size
        at += max(size, 8)


def _choose_stream(container: InputContainer, name: str) -> VideoStream:
    """Return the first video stream that is not cover art and can be decoded."""
    streams = [s for s in container.streams.video if not _is_cover(s)]
    if not streams:
        what = "audio but no video" if container.streams.audio else "no video"
        raise VideoFormatError(f"it has {what}", where=name, hint="Give a video")
    stream = next((s for s in streams if s.codec_context is not None), None)
    if stream is None:
        raise VideoFormatError("its video codec is not supported", where=name,
                               hint="Convert it to H.264")  # fmt: skip
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_VIDEO_PIXELS:
        raise ImageSizeError(
            f"frames of {width} x {height} pixels exceed the limit of {MAX_VIDEO_PIXELS // 10**6} million",
            where=name,
            hint="Scale the video down",
        )
    # "explode" makes a decoder report damage that it would otherwise conceal, and "output_corrupt" return pictures
    # that it would otherwise drop, because they depend on pictures before the start of the file.
    stream.codec_context.options = {
        "max_pixels": str(MAX_VIDEO_PIXELS), "err_detect": "explode", "flags": "+output_corrupt",
    }  # fmt: skip
    return stream


def stated_rate(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the frames per second that a file or stream states, or None if it states none, or an absurd number."""
    if container.format.name in _RAW:
        rate = float(stream.codec_context.framerate or 0)
    else:
        rate = float(stream.average_rate or stream.guessed_rate or 0)
    return rate if _MIN_RATE <= rate <= _MAX_RATE else None


def _is_cover(stream: VideoStream) -> bool:
    """Return True if a stream is cover art; PyAV 14 does not report it, and 15 to 17 use an enum."""
    disposition: Any = getattr(stream, "disposition", 0)
    return bool(int(getattr(disposition, "value", disposition)) & _COVER_ART)
