"""Keep the chunks of a PNG that its pixels need; names are those of the PNG specification.

Pillow refuses a file for its metadata: texts and profiles of more than a megabyte, and wrong checksums anywhere. quadrat
uses only the orientation, so other metadata is left out before Pillow reads the file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from quadrat.media.pillow import damaged

_SIGNATURE = 8
MAX_PROFILE = 4_000_000
"""The most bytes of a colour profile that are read; profiles of cameras and printers have up to two million."""
_SMALL = 1 << 12
_MAX_TEXT = 1 << 19
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_ORIENTATION = (b"XML:com.adobe.xmp", b"Raw profile type exif", b"Raw profile type APP1")
_NOT_NEEDED = (b"iCCP", b"tIME", b"sPLT", b"hIST")


def essential(body: bytes) -> bytes:
    """Return a PNG with its critical chunks, its EXIF, and small chunks with a right checksum; the same pixels.

    Raises ImageTruncatedError for a wrong checksum of a critical chunk. The rest of a file that ends within a chunk
    is kept, for the decoder to judge.
    """
    kept: list[tuple[int, int]] = [(0, _SIGNATURE)]
    dropped = False
    for start, end, kind in _chunks(body):
        if end > len(body):
            kept.append((start, len(body)))
            break
        right = (
            zlib.crc32(memoryview(body)[start + 4 : end - 4]) == struct.unpack_from(">I", body, end - 4)[0]
        )
        if _is_critical(kind):
            if not right:
                raise damaged("PNG", f"wrong checksum of {kind.decode('ascii', 'replace')}")
        elif not right or not _is_needed(
            kind, body[start + 8 : end - 4] if end - start <= _MAX_TEXT else b""
        ):
            dropped = True
            continue
        if kept[-1][1] == start:
            kept[-1] = (kept[-1][0], end)
        else:
            kept.append((start, end))
    return b"".join(body[start:end] for start, end in kept) if dropped else body


def profile(body: bytes) -> bytes:
    """Return the colour profile of a PNG; b"" if it has none, or one that is damaged or larger than MAX_PROFILE."""
    for start, end, kind in _chunks(body):
        if kind == b"IDAT":
            return b""
        if kind == b"iCCP" and end <= len(body):
            packed = body[start + 8 : end - 4].partition(b"\0")[2][1:]
            found = zlib.decompressobj()
            content = found.decompress(packed, MAX_PROFILE)
            return content if found.eof else b""
    return b""


def _chunks(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the start, end and type of each chunk, to the last one; the end may lie beyond the file."""
    at = _SIGNATURE
    while at + 8 <= len(body):
        (size,) = struct.unpack_from(">I", body, at)
        kind = body[at + 4 : at + 8]
        yield at, at + 12 + size, kind
        if kind == b"IEND":
            return
        at += 12 + size


def _is_critical(kind: bytes) -> bool:
    return not kind[:1].islower()


def _is_needed(kind: bytes, content: bytes) -> bool:
    """Return True for an ancillary chunk that Pillow can read, and that may matter; `content` is b"" if it is large."""
    if kind in _TEXTS:
        keyword, _, rest = content.partition(b"\0")
        return keyword in _ORIENTATION and _expands_little(kind, rest)
    if kind in (b"eXIf", b"acTL", b"fcTL", b"tRNS"):
        return True
    return bool(content) and len(content) <= _SMALL and kind not in _NOT_NEEDED


def _expands_little(kind: bytes, rest: bytes) -> bool:
    """Return True if a text has at most _MAX_TEXT bytes once it is decompressed."""
    packed = rest[1:]
    if kind == b"iTXt" and rest[:1] == b"\1":
        packed = rest[2:].split(b"\0", 2)[-1]
    elif kind != b"zTXt":
        return True
    expander = zlib.decompressobj()
    try:
        expander.decompress(packed, _MAX_TEXT)
    except zlib.error:
        return False
    return not expander.unconsumed_tail
