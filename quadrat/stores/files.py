"""Files that appear whole, and never in the place of another one."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from quadrat.errors import DeliveryError

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


def digest_of(path: Path) -> str:
    """Return the sha256 (hex) of a file; OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_draft(folder: Path, body: bytes | Path, *, link: bool = False) -> tuple[Path, str]:
    """Write bytes, or copy a file, to a draft in a folder, and return its path and digest.

    With `link`, a file is linked if the file system can, which costs no room. Whoever made the file must then not
    change it any more, but may delete it.
    """
    draft = folder / f".quadrat-{secrets.token_hex(8)}"
    try:
        if isinstance(body, bytes):
            with draft.open("xb") as file:
                file.write(body)
            return draft, hashlib.sha256(body).hexdigest()
        if not (link and _linked(body, draft)):
            with draft.open("xb") as file, body.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
        return draft, digest_of(draft)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def place(draft: Path, target: Path, *, replace: bool = False) -> None:
    """Give a draft its name, in one step; FileExistsError if there is such a file, unless it is to be replaced.

    On a file system without links, an empty file appears first, for an instant.
    """
    if replace:
        draft.replace(target)
    elif _linked(draft, target):
        draft.unlink()
    else:
        target.open("xb").close()
        draft.replace(target)


def _linked(path: Path, link: Path) -> bool:
    """Make a hard link; False if the file system cannot. FileExistsError if there is such a file."""
    try:
        os.link(path, link)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    return True


def try_to_write(folder: Path) -> None:
    """Write a file into the folder, or its nearest existing parent, and remove it; DeliveryError if that fails."""
    existing = next((place for place in (folder, *folder.parents) if os.path.lexists(place)), folder)
    draft = None
    try:
        draft, _ = write_draft(
            existing, bytes(4096)
        )  # a single byte may fit on a disk that has no free block
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:  # also after a signal
        if draft is not None:
            draft.unlink()


def is_full(error: OSError) -> bool:
    """Return True if an error means that there is no room left."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cannot_write(path: Path | str, error: OSError) -> DeliveryError:
    """Return a DeliveryError for an error of the disk, with a hint."""
    full = is_full(error)
    what = "the disk is full" if full else "the file cannot be written"
    hint = "Free some space, or deliver into another folder" if full else "Check the folder of results"
    return DeliveryError(f"{what} ({error.strerror})", where=str(path), hint=hint)


def to_json(metadata: Mapping[str, Any], name: str) -> bytes:
    """Return metadata as strict JSON; DeliveryError for values that JSON does not have, such as NaN."""
    try:
        return json.dumps(metadata, indent=2, ensure_ascii=True, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise DeliveryError(f"the metadata is not strict JSON ({error})", where=name) from error


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that are empty, in order."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
