"""Walking a folder of images: which files are tried, in which order, and why the others are not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from quadrat.errors import NotAnImageError, QuadratError, SourceError
from quadrat.types import Failure, Source

IMAGE_SUFFIXES = frozenset((
    ".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp",
    # pictures that we cannot read: tried, so that their row says "failed" and why, not "skipped"
    ".avif", ".gif", ".heic", ".heif", ".jp2", ".jxl",
))  # fmt: skip
RAW_SUFFIXES = frozenset((".arw", ".cr2", ".cr3", ".dng", ".gpr", ".nef", ".orf", ".raf", ".rw2"))


def skip_reason(name: str) -> str | None:
    """Say why a file of this name is no image, or None where it should be tried."""
    if name.startswith(".ivcap-") and name.endswith(".txt"):
        return "it is a marker of the ivcap tools"
    if name.startswith("."):
        return "its name starts with a dot"
    suffix = PurePath(name).suffix.lower()
    if suffix in RAW_SUFFIXES:
        return "it is a camera's raw file; its JPEG is measured where there is one"
    if suffix not in IMAGE_SUFFIXES:
        return f"{suffix} is no image suffix" if suffix else "its name has no image suffix"
    return None


def file_urn(path: Path) -> str:
    """Name a local file as the SDK does, percent-encoded so that it stays one word."""
    return "urn:" + Path(os.path.abspath(path)).as_uri()  # noqa: PTH100 - resolves "..", keeps links


def file_source(path: Path, name: str) -> Source:
    """Describe a local file; the token keeps its path, whatever bytes that is made of."""
    readable = os.fsencode(name).decode(errors="replace")
    return Source(urn=file_urn(path), name=readable, token=str(path.absolute()))


def list_images(images: Path, results: Path | None = None) -> Iterator[Source | Failure]:
    """Yield what lies in a folder and its sub-folders in order of name, or the one file given.

    A file given by itself is tried whatever its name. Links to files are followed; a folder that leads
    back into itself, and anything in `results` that an earlier run delivered, are skipped.
    """
    if images.is_dir():
        yield from _walk(images, PurePath(), results.absolute() if results else None, ())
    else:
        yield file_source(images, images.name)


def _walk(
    folder: Path, below: PurePath, results: Path | None, parents: tuple[tuple[int, int], ...]
) -> Iterator[Source | Failure]:
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield _no(folder, below, SourceError(f"the folder cannot be read ({error.strerror})"))
        return
    identity = (status.st_dev, status.st_ino)
    if identity in parents:
        yield _no(folder, below, NotAnImageError("the link leads back into its own folder"))
        return
    names = {entry.name for entry in entries}
    for entry in entries:
        path, name = folder / entry.name, below / entry.name
        try:
            is_folder = entry.is_dir()
        except OSError as error:  # a link to itself, or into a folder that may not be searched
            yield _no(path, name, SourceError(f"it cannot be looked at ({error.strerror})"))
            continue
        if is_folder:
            if entry.name.startswith("."):
                yield _no(path, name, NotAnImageError("its name starts with a dot"))
            elif results is not None and path.absolute() == results:
                yield _no(path, name, NotAnImageError("the folder takes this order's results"))
            else:
                yield from _walk(path, name, results, (*parents, identity))
        elif reason := _skip(entry, names if folder.absolute() == results else set()):
            yield _no(path, name, NotAnImageError(reason))
        else:
            yield file_source(path, str(name))


def _skip(entry: os.DirEntry[str], delivered: set[str]) -> str | None:
    """Say why an entry is not tried; opening a pipe or a device would wait for ever."""
    if reason := skip_reason(entry.name):
        return reason
    if f"{entry.name}-meta.json" in delivered:
        return "it is the result of an earlier run"
    if not entry.is_file() and Path(entry.path).exists():
        return "it is no regular file"
    return None


def _no(path: Path, name: PurePath, error: QuadratError) -> Failure:
    source = file_source(path, str(name))
    return Failure(source, "list", type(error)(error.what, where=source.name))
