"""Decompress a .tgz file into a complete, checked tar."""

from __future__ import annotations

import hashlib
import stat
import zlib
from pathlib import Path
from typing import IO, Protocol

from quadrat.errors import ArchiveFormatError, ArchiveUnsafeError, ModelError

MAX_PACKED = 4 << 30
"""Bytes of the largest .tgz that is read."""
MAX_UNPACKED = 8 << 30
"""Bytes of the largest tar that is unpacked."""
MAX_RATIO = 100
"""Largest compression ratio. Weights compress by about a tenth; only a bomb compresses this much."""
ALWAYS_ALLOWED = 64 << 20
"""Bytes that are allowed at any ratio, for small archives of text or zeros."""

_CHUNK = 1 << 18
_GZIP = 16 + zlib.MAX_WBITS
_AGAIN = "Copy or download it again, or export the model again"
_PACK = "quadrat pack makes an archive from a network: quadrat pack --onnx net.onnx; quadrat inspect net.onnx says how"
_NETWORKS = (".onnx", ".pt", ".pth", ".pdparams", ".pdmodel", ".safetensors")
_MAKE = "Make a model archive with export_model, or with tar czf model.tgz -C FOLDER ."


def gunzip(path: Path, out: IO[bytes]) -> str:
    """Decompress the file at `path` into `out`, and return the sha256 (hex) of the compressed bytes.

    The file must contain exactly one complete gzip stream, whose CRC is checked.
    Raises ArchiveFormatError, ArchiveUnsafeError for a bomb, ModelError if it cannot be read.
    """
    try:
        file = _open(path)
    except OSError as error:
        raise ModelError(f"the model archive cannot be read: {error.strerror}") from None
    with file:
        return _inflate(file, path.stat().st_size, out, path.suffix.lower())


def _open(path: Path) -> IO[bytes]:
    """Open a regular file; anything else might block or never end."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise ArchiveFormatError(
            "it is a folder, not a model archive", hint=f"Give the file, model.tgz. {_PACK}"
        )
    if not stat.S_ISREG(mode):
        raise ArchiveFormatError("the model archive is not a file", hint=_MAKE)
    return path.open("rb", buffering=0)


def _inflate(file: IO[bytes], size: int, out: IO[bytes], suffix: str) -> str:
    if size > MAX_PACKED:
        raise ArchiveUnsafeError(f"the archive is {size} bytes, more than {MAX_PACKED}")
    allowed = min(MAX_UNPACKED, max(ALWAYS_ALLOWED, MAX_RATIO * size))
    _check_magic(file.read(512), suffix)
    file.seek(0)
    sha, stream, written = hashlib.sha256(), zlib.decompressobj(_GZIP), 0
    while chunk := file.read(_CHUNK):
        sha.update(chunk)
        while chunk and not stream.eof:
            piece = _decompress(stream, chunk)
            written += len(piece)
            if written > allowed:
                raise ArchiveUnsafeError(
                    f"{size} bytes unpack to more than {allowed}", hint="Weights never compress that much"
                )
            out.write(piece)
            chunk = stream.unused_data or stream.unconsumed_tail
        if chunk:
            raise ArchiveFormatError("there are bytes after the end of the gzip data", hint=_AGAIN)
    if not stream.eof:
        what = "the file ends before its gzip data" if size else "the file is empty"
        raise ArchiveFormatError(what, hint=_AGAIN)
    return sha.hexdigest()


def _decompress(stream: _Stream, chunk: bytes) -> bytes:
    try:
        return stream.decompress(chunk, _CHUNK)
    except zlib.error as error:
        raise ArchiveFormatError(f"the gzip data are damaged ({error})", hint=_AGAIN) from None


class _Stream(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _check_magic(head: bytes, suffix: str) -> None:
    if head[:2] == b"\x1f\x8b"[: len(head)]:
        return
    if suffix in _NETWORKS:
        raise ArchiveFormatError("it is a network, not a model archive", hint=_PACK)
    what = "the file is not gzip"
    if head[:2] == b"PK":
        what = "the file is a zip, not a gzipped tar"
    elif head[257:262] == b"ustar":
        what = "the file is a tar that is not gzipped"
    raise ArchiveFormatError(what, hint=_MAKE)
