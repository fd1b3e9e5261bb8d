"""List the regular files in a tar, after checking that all of them are safe to write."""

from __future__ import annotations

import io
import tarfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO

from quadrat.errors import ArchiveFormatError, ArchiveUnsafeError

MAX_MEMBERS = 1000
MAX_DEPTH = 8
MAX_NAME = 255
"""Longest name of a member, in bytes of UTF-8."""

_HEADER = 4 << 10
_HEADERS = 256 << 10
_BLOCK = tarfile.BLOCKSIZE
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
_SPECIAL = {
    tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link", tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a pipe", tarfile.GNUTYPE_SPARSE: "a sparse file",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in the tar: its clean relative path, and the place of its bytes in the tar."""

    path: PurePosixPath
    offset: int
    size: int


def shown(name: str) -> str:
    """Return the name of a member in a short, printable form for an error."""
    text = ascii(name)[1:-1] if not name.isprintable() else name
    return text if len(text) <= 80 else text[:77] + "..."


def list_members(tar: IO[bytes]) -> list[Member]:
    """Read all headers of `tar`, check every rule, and return the regular files in order.

    Nothing is written. Raises ArchiveUnsafeError for what no model needs (links, devices, names that leave the folder
    or collide), ArchiveFormatError if the tar is incomplete or damaged.
    """
    length = tar.seek(0, io.SEEK_END)
    tar.seek(0)
    names, members = _Names(), []
    for info in _headers(tar):
        if info.type not in (*_FILES, tarfile.DIRTYPE) or info.sparse is not None:
            kind = _SPECIAL.get(info.type, "of an unknown kind" if info.sparse is None else "a sparse file")
            raise ArchiveUnsafeError(f"the member is {kind}", where=shown(info.name))
        if info.size < 0 or info.offset_data + info.size > length:
            raise ArchiveFormatError(f"the size of {info.size} bytes is wrong", where=shown(info.name))
        path = clean_path(info.name)
        names.add(path, folder=info.isdir())
        if not info.isdir():
            members.append(Member(path, info.offset_data, info.size))
    return members


def clean_path(name: str) -> PurePosixPath:
    """Return the name of a member as a relative path without "." parts; ArchiveUnsafeError if it is not safe."""
    path = PurePosixPath(name)
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise ArchiveUnsafeError("the name is not UTF-8", where=shown(name)) from None
    faults = {
        "is absolute": name.startswith("/"),
        "leaves the folder": ".." in path.parts,
        "has a control character": any(unicodedata.category(c) == "Cc" for c in name),
        "has a backslash or a colon": "\\" in name or ":" in name,
        "is not in Unicode form NFC": not unicodedata.is_normalized("NFC", name),
        f"is longer than {MAX_NAME} bytes": length > MAX_NAME,
        f"has more than {MAX_DEPTH} parts": len(path.parts) > MAX_DEPTH,
    }
    for fault, found in faults.items():
        if found:
            raise ArchiveUnsafeError(f"the member's name {fault}", where=shown(name))
    return path


@dataclass(slots=True)
class _Names:
    """The names so far, compared as on a file system that ignores case."""

    seen: dict[str, tuple[PurePosixPath, bool]] = field(default_factory=dict)

    def add(self, path: PurePosixPath, *, folder: bool) -> None:
        """Add a member and the folders above it; two that would be the same file are an error."""
        if not path.parts and not folder:
            raise ArchiveUnsafeError("a member is a file without a name")
        for place, is_folder in [(path, folder), *((parent, True) for parent in path.parents)]:
            key = unicodedata.normalize("NFC", str(place).casefold())
            known = self.seen.get(key)
            if known is None:
                self.seen[key] = (place, is_folder)
            elif known != (place, True) or not is_folder:
                raise ArchiveUnsafeError(
                    "two members have the same name, or names that differ only in case",
                    where=shown(str(path)),
                )


class _HeadersOnly(io.RawIOBase):
    """A view of the tar for tarfile that limits how much it reads.

    tarfile reads a whole extended header into memory, takes a negative size as "all", and before Python 3.11.10 searches
    headers in quadratic time. Therefore the size of each header and their sum are limited here.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._left = file, _HEADERS

    def read(self, size: int = -1, /) -> bytes:
        """Read a header or an extended header."""
        if size > _BLOCK:
            self._left -= size
        if not 0 <= size <= _HEADER or self._left < 0:
            raise ArchiveUnsafeError("a header of the tar is too long")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file."""
        return self._file.tell()


def _headers(tar: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """Yield the header of each member; a damaged header is an error, not the end of the tar as for tarfile."""
    try:
        with tarfile.open(fileobj=_HeadersOnly(tar), mode="r:", encoding="utf-8") as archive:
            for count, info in enumerate(archive, start=1):
                if count > MAX_MEMBERS:
                    raise ArchiveUnsafeError(f"the archive has more than {MAX_MEMBERS} members")
                yield info
            end = archive.offset
    except RecursionError:
        raise ArchiveUnsafeError("the headers of the tar are nested too deeply") from None
    except (tarfile.TarError, EOFError, ValueError, ArithmeticError, LookupError) as error:
        raise ArchiveFormatError(
            f"the gzip contains no complete tar ({error})", hint="Export the model again"
        ) from None
    _check_end(tar, end)


def _check_end(tar: IO[bytes], end: int) -> None:
    """Check that the tar ends with at least one block of zeros and nothing else."""
    tar.seek(end)
    zeros = 0
    while chunk := tar.read(1 << 18):
        if chunk.strip(b"\0"):
            raise ArchiveFormatError("a member's header is damaged", hint="Export the model again")
        zeros += len(chunk)
    if zeros < _BLOCK:
        raise ArchiveFormatError("the tar ends early", hint="Export the model again")
