"""List the images or videos in a folder: which files are tried, in which order, and why others are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from quadrat.errors import NotAnImageError, QuadratError, SourceError
from quadrat.formats import skip_reason
from quadrat.types import Failure, Media, Source


def file_urn(path: Path) -> str:
    """Return the URN of a local file in the form of the SDK, percent-encoded so that it contains no spaces."""
    return "urn:" + Path(os.path.abspath(path)).as_uri()  # noqa: PTH100 - it resolves ".." but keeps links


def file_source(path: Path, name: str, media: Media = "image") -> Source:
    """Return the source of a local file or folder; its token is the path, even if that is not valid text."""
    readable = os.fsencode(name).decode(errors="replace")
    return Source(urn=file_urn(path), name=readable, media=media, token=str(path.absolute()))


def list_images(images: Path, results: Path | None = None) -> Iterator[Source | Failure]:
    """Yield the images in a folder and its sub-folders in order of name, or the one given file.

    A single file is tried whatever its name. Links to files are followed. A link to a parent folder, and anything in
    `results` that an earlier run delivered, are skipped.
    """
    yield from _list(images, results, moving=False)


def list_videos(videos: Path, results: Path | None = None) -> Iterator[Source | Failure]:
    """Yield the videos in a folder and its sub-folders in order of name, or the one given file.

    A folder that contains pictures and no video is one source: a sequence. Otherwise as `list_images`.
    """
    yield from _list(videos, results, moving=True)


def _list(place: Path, results: Path | None, *, moving: bool) -> Iterator[Source | Failure]:
    if place.is_dir():
        name = Path(os.path.abspath(place)).name or str(place)  # noqa: PTH100 - also for "." and ".."
        walk = _Walk(results.absolute() if results else None, name, moving=moving)
        yield from walk.folder(place, PurePath(), ())
    else:
        yield file_source(place, place.name, "video" if moving else "image")


class _Walk:
    """One listing of images or videos; the folder `results` is not measured."""

    def __init__(self, results: Path | None, root: str, *, moving: bool) -> None:
        self._results = results
        self._root = root
        self._moving = moving
        self._media: Media = "video" if moving else "image"

    def folder(
        self, folder: Path, below: PurePath, parents: tuple[tuple[int, int], ...]
    ) -> Iterator[Source | Failure]:
        """Yield the content of a folder; `below` is its path from the root, `parents` identifies the folders above it."""
        name = below if below.parts else PurePath(self._root)
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield self._no(folder, name, SourceError(f"the folder cannot be read ({error.strerror})"))
            return
        identity = (status.st_dev, status.st_ino)
        if identity in parents:
            yield self._no(folder, name, NotAnImageError("the link leads to a folder that contains it"))
            return
        names = {entry.name for entry in entries} if folder.absolute() == self._results else set()
        frames = self._frames(entries, names)
        if frames:
            yield file_source(folder, str(name), "sequence")
        for entry in entries:
            if entry.name not in frames:
                yield from self._entry(entry, folder, below, names, (*parents, identity))

    def _entry(
        self,
        entry: os.DirEntry[str],
        folder: Path,
        below: PurePath,
        delivered: set[str],
        parents: tuple[tuple[int, int], ...],
    ) -> Iterator[Source | Failure]:
        path, name = folder / entry.name, below / entry.name
        try:
            is_folder = entry.is_dir()
        except OSError as error:  # a link to itself, or into a folder without permission
            yield self._no(path, name, SourceError(f"it cannot be accessed ({error.strerror})"))
            return
        if is_folder:
            if entry.name.startswith("."):
                yield self._no(path, name, NotAnImageError("its name starts with a dot"))
            elif self._results is not None and path.absolute() == self._results:
                yield self._no(path, name, NotAnImageError("the folder is for the results of this order"))
            else:
                yield from self.folder(path, name, parents)
        elif reason := _skip(entry, delivered, moving=self._moving):
            yield self._no(path, name, NotAnImageError(reason))
        else:
            yield file_source(path, str(name), self._media)

    def _no(self, path: Path, name: PurePath, error: QuadratError) -> Failure:
        source = file_source(path, str(name), self._media)
        return Failure(source, "list", error.at(source.name))

    def _frames(self, entries: list[os.DirEntry[str]], delivered: set[str]) -> set[str]:
        """Return the names of the pictures if the folder is a sequence: it has pictures and no video."""
        if not self._moving or any(skip_reason(entry.name, moving=True) is None for entry in entries):
            return set()
        return {
            entry.name
            for entry in entries
            if not entry.is_dir() and _skip(entry, delivered, moving=False) is None
        }


def _skip(entry: os.DirEntry[str], delivered: set[str], *, moving: bool) -> str | None:
    """Return why an entry is skipped, or None. Opening a pipe or a device would block."""
    if reason := skip_reason(entry.name, moving=moving):
        return reason
    if f"{entry.name}-meta.json" in delivered:
        return "it is the result of an earlier run"
    if not entry.is_file() and Path(entry.path).exists():
        return "it is not a regular file"
    return None
