"""index.tgz: the database of an index with its digest, packed and unpacked."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from quadrat.errors import IndexFileError, ModelError
from quadrat.index import schema
from quadrat.package.gzipped import gunzip
from quadrat.package.members import Member, list_members
from quadrat.stores.temporary import temporary_folder

FILE = "index.tgz"
DATABASE, MANIFEST = "index.sqlite", "index.json"
SCHEMA = "urn:ibenthos:schema:quadrat.index.1"
MAX_MANIFEST = 1 << 20
MODEL = "meta.json"
"""The file that every model archive has."""
_PIECE = 1 << 20
_LEVEL = 1
"""Vectors and thumbnails hardly compress, and higher levels take minutes for a large index."""


def pack(database: Path, out: Path, facts: Mapping[str, Any]) -> None:
    """Pack a closed database with its digest into `out`; the same content gives the same bytes. OSError if it fails."""
    with database.open("rb") as read:
        digest = hashlib.file_digest(read, "sha256").hexdigest()
    manifest = (
        json.dumps({"$schema": SCHEMA, "sha256": {DATABASE: digest}, **facts}, indent=2).encode() + b"\n"
    )
    with (
        out.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=_LEVEL) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(manifest), 0o644
        tar.addfile(info, io.BytesIO(manifest))
        info = tarfile.TarInfo(DATABASE)
        info.size, info.mode = database.stat().st_size, 0o644
        with database.open("rb") as content:
            tar.addfile(info, content)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Give the checked database of an index.tgz, a copy that is deleted afterwards.

    Raises IndexFileError if the archive is cut short, was changed, or holds anything else than an index.
    """
    with temporary_folder("index") as folder:
        try:
            with (folder / "index.tar").open("w+b") as tar:
                gunzip(path, tar)
                _unpack(tar, folder, path.name)
            (folder / "index.tar").unlink()
        except ModelError as error:
            what = error.what.replace("the model archive", "the index").replace("a model archive", "an index")
            raise IndexFileError(what, where=path.name, hint=schema.DAMAGED) from error
        except OSError as error:
            raise IndexFileError(f"it cannot be unpacked ({error.strerror})", where=path.name) from error
        schema.open_for_reading(folder / DATABASE).close()
        yield folder / DATABASE


def _unpack(tar: IO[bytes], folder: Path, name: str) -> None:
    """Write the database, after a check of the members, and compare its digest."""
    members = {str(member.path): member for member in list_members(tar)}
    if set(members) != {DATABASE, MANIFEST}:
        what = (
            "it is a model archive, not an index"
            if MODEL in members
            else f"it holds other files than {DATABASE} and {MANIFEST}"
        )
        raise IndexFileError(what, where=name, hint=schema.GIVE)
    stated = _digest(tar, members[MANIFEST], name)
    sha, member = hashlib.sha256(), members[DATABASE]
    tar.seek(member.offset)
    left = member.size
    with (folder / DATABASE).open("wb") as out:
        while left:
            piece = tar.read(min(left, _PIECE))
            if not piece:
                raise IndexFileError("it ends early", where=name, hint=schema.DAMAGED)
            sha.update(piece)
            out.write(piece)
            left -= len(piece)
    if sha.hexdigest() != stated:
        raise IndexFileError(
            f"its database is not the one that was packed: the sha256 is {sha.hexdigest()[:12]}..., not {stated[:12]}...",
            where=name,
            hint=schema.DAMAGED,
        )


def _digest(tar: IO[bytes], member: Member, name: str) -> str:
    """Return the digest of the database that the manifest states."""
    try:
        if member.size > MAX_MANIFEST:
            raise ValueError
        tar.seek(member.offset)
        manifest = json.loads(tar.read(member.size))
        if manifest["$schema"] != SCHEMA:
            raise ValueError
        return str(manifest["sha256"][DATABASE])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IndexFileError(f"its {MANIFEST} is not that of an index", where=name) from error
