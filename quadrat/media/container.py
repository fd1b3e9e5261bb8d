"""Opens a video file, and nothing that the file may point at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import av

from quadrat.errors import ImageSizeError, QuadratError, VideoFormatError, VideoTruncatedError
from quadrat.formats import IMAGE_FORMATS, VIDEO_CONTAINERS
from quadrat.media.kinds import PICTURES_GO_BY, looks_like

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

MAX_VIDEO_PIXELS = 36_000_000
"""Of one frame: 8192 x 4352, the largest that H.264 and H.265 know. A decoder holds up to twenty frames at once,
then about one gigabyte."""

_BUFFER = 1 << 18
_COVER_ART = 0x400
_LISTS: tuple[tuple[bytes, str], ...] = (
    (b"#extm3u", "a playlist (m3u8) of other files"),
    (b"ffconcat", "a playlist (ffconcat) of other files"),
    (b"v=0", "a description of a stream (sdp)"),
    (b"<mpd", "a playlist (DASH) of other files"),
    (b"<smil", "a playlist (SMIL) of other files"),
)
_BOXES = (b"ftyp", b"moov", b"mdat")
_VIDEO_MAGIC = ((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (0, b"\x1aE\xdf\xa3"), (8, b"AVI "))


class _Bytes:
    """A file by its bytes alone: without a name, FFmpeg cannot take one for a pattern or an address."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


@dataclass(slots=True, eq=False)
class Opened:
    """An open container, its pictures' stream, and the file they are read from."""

    name: str
    file: IO[bytes]
    container: InputContainer
    stream: VideoStream
    others: tuple[Stream, ...]

    def again(self) -> None:
        """Begin anew at the file's first byte."""
        self.container.close()
        self.container, self.stream, self.others = _begin(self.file, self.name)

    def is_cut(self) -> bool:
        """Whether the file is shorter than its outermost boxes (MP4) or its first chunk (AVI) say."""
        self.file.seek(0)
        head = self.file.read(12)
        end = self.file.seek(0, 2)
        if head[4:8] in _BOXES:
            return sum(size for _, size in _boxes(self.file)) > end
        return head[:4] == b"RIFF" and int.from_bytes(head[4:8], "little") + 8 > end

    def close(self) -> None:
        """Close container and file."""
        self.container.close()
        self.file.close()


def open_container(path: Path, name: str) -> Opened:
    """Open a video file for decoding; only its own bytes are read, whatever they say.

    `name` is what errors call it. Raises VideoFormatError for what is no video that we read or has no pictures,
    VideoTruncatedError for one whose index is missing, ImageSizeError for frames of more than
    MAX_VIDEO_PIXELS, all before a frame is decoded.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise VideoFormatError(f"it cannot be read ({error.strerror})", where=name) from error
    try:
        return Opened(name, file, *_begin(file, name))
    except BaseException:
        file.close()
        raise


def _begin(file: IO[bytes], name: str) -> tuple[InputContainer, VideoStream, tuple[Stream, ...]]:
    """Read a file's headers: the container, its stream of pictures, and the others that have a duration."""
    file.seek(0)
    head = file.read(1024)
    _refuse_lists(head, name)
    file.seek(0)
    container = _open(file, head, name)
    try:
        stream = _pictures(container, name)
    except BaseException:
        container.close()
        raise
    others = tuple(s for s in container.streams if s.index != stream.index and s.type in ("audio", "video"))
    return container, stream, others


def _refuse_lists(head: bytes, name: str) -> None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        raise VideoTruncatedError("the file is empty", where=name, hint="Copy it again")
    for magic, kind in _LISTS:
        if text.startswith(magic) or (magic.startswith(b"<") and magic in text):
            raise VideoFormatError(f"this is {kind}, not a video", where=name, hint="Give the video itself")


def _refuse(url: str, *_: Any) -> NoReturn:
    raise VideoFormatError(f"it asks for another file ({url[:80]!r})", hint="Give the video itself")


def _open(file: IO[bytes], head: bytes, name: str) -> InputContainer:
    try:
        return av.open(
            _Bytes(file),
            "r",
            # No options for the streams: with them PyAV before 18 dies on formats that name no streams in front.
            container_options={"format_whitelist": ",".join(VIDEO_CONTAINERS), "protocol_whitelist": "none"},
            buffer_size=_BUFFER,
            io_open=_refuse,
            metadata_errors="replace",
        )
    except QuadratError as error:
        raise VideoFormatError(error.what, where=name, hint=error.hint) from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(file, head, name) from error


def _unreadable(file: IO[bytes], head: bytes, name: str) -> QuadratError:
    """Say why FFmpeg could not open a file."""
    if not any(head.startswith(magic, offset) for offset, magic in _VIDEO_MAGIC):
        kind = looks_like(head)
        hint = PICTURES_GO_BY if kind in IMAGE_FORMATS else "Use MP4, MKV or AVI"
        kind = f"a {kind} picture" if kind in IMAGE_FORMATS else kind
        return VideoFormatError(f"this is {kind}, not a video we read", where=name, hint=hint)
    boxes = dict(_boxes(file)) if head[4:8] in _BOXES else {b"moov": 0}
    if b"moov" not in boxes:
        return VideoTruncatedError(
            "the video ends early: its index (moov), which comes last, is missing",
            where=name,
            hint="Copy it again, or end the recording properly",
        )
    return VideoTruncatedError("the video's header is damaged or cut off", where=name, hint="Copy it again")


def _boxes(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield kind and size of an MP4's outermost boxes that begin in the file."""
    end = file.seek(0, 2)
    at = 0
    while at + 8 <= end:
        file.seek(at)
        header = file.read(16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        size = int.from_bytes(header[8:16], "big") if size == 1 else size or end - at
        yield kind, size
        at += max(size, 8)


def _pictures(container: InputContainer, name: str) -> VideoStream:
    """Choose the stream of pictures: the first that is no cover art and can be decoded."""
    streams = [s for s in container.streams.video if not _is_cover(s)]
    if not streams:
        what = "sound but no pictures" if container.streams.audio else "no pictures"
        raise VideoFormatError(f"it has {what}", where=name, hint="Give a video")
    stream = next((s for s in streams if s.codec_context is not None), None)
    if stream is None:
        raise VideoFormatError("its pictures are coded in a way that nothing here decodes", where=name,
                               hint="Convert it to H.264")  # fmt: skip
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_VIDEO_PIXELS:
        raise ImageSizeError(
            f"frames of {width} x {height} pixels are more than the {MAX_VIDEO_PIXELS // 10**6} million we accept",
            where=name,
            hint="Shrink the video",
        )
    # "explode" makes a decoder report what it would otherwise paint over.
    stream.codec_context.options = {"max_pixels": str(MAX_VIDEO_PIXELS), "err_detect": "explode"}
    return stream


def _is_cover(stream: VideoStream) -> bool:
    """Whether a stream is the cover of an album; PyAV 14 cannot tell, 15 to 17 say it with an enum."""
    disposition: Any = getattr(stream, "disposition", 0)
    return bool(int(getattr(disposition, "value", disposition)) & _COVER_ART)
