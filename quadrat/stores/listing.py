"""Walking a folder of images or videos: which files are tried, in which order, and why the others are not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from quadrat.errors import NotAnImageError, QuadratError, SourceError
from quadrat.formats import skip_reason
from quadrat.types import Failure, Media, Source


def file_urn(path: Path) -> str:
    """Name a local file as the SDK does, percent-encoded so that it stays one word."""
    return "urn:" + Path(os.path.abspath(path)).as_uri()  # noqa: PTH100 - resolves "..", keeps links


def file_source(path: Path, name: str, media: Media = "image") -> Source:
    """Describe a local file or folder; the token keeps its path, whatever bytes that is made of."""
    readable = os.fsencode(name).decode(errors="replace")
    return Source(urn=file_urn(path), name=readable, media=media, token=str(path.absolute()))


def list_images(images: Path, results: Path | None = None) -> Iterator[Source | Failure]:
    """Yield what lies in a folder and its sub-folders in order of name, or the one file given.

    A file given by itself is tried whatever its name. Links to files are followed; a folder that leads
    back into itself, and anything in `results` that an earlier run delivered, are skipped.
    """
    yield from _list(images, results, moving=False)


def list_videos(videos: Path, results: Path | None = None) -> Iterator[Source | Failure]:
    """Yield the videos in a folder and its sub-folders in order of name, or the one file given.

    A folder that holds pictures and no video is one source: a sequence. Else as list_images.
    """
    yield from _list(videos, results, moving=True)


def _list(place: Path, results: Path | None, *, moving: bool) -> Iterator[Source | Failure]:
    if place.is_dir():
        name = Path(os.path.abspath(place)).name or str(place)  # noqa: PTH100 - of "." and "..", too
        walk = _Walk(results.absolute() if results else None, name, moving=moving)
        yield from walk.folder(place, PurePath(), ())
    else:
        yield file_source(place, place.name, "video" if moving else "image")


class _Walk:
    """One listing: where results are, which must not be measured, and what is looked for."""

    def __init__(self, results: Path | None, root: str, *, moving: bool) -> None:
        self._results = results
        self._root = root
        self._moving = moving
        self._media: Media = "video" if moving else "image"

    def folder(
        self, folder: Path, below: PurePath, parents: tuple[tuple[int, int], ...]
    ) -> Iterator[Source | Failure]:
        """Yield what lies in a folder; `below` is its path from the folder given, `parents` those it lies in."""
        name = below if below.parts else PurePath(self._root)
        try:
            status = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield self._no(folder, name, SourceError(f"the folder cannot be read ({error.strerror})"))
            return
        identity = (status.st_dev, status.st_ino)
        if identity in parents:
            yield self._no(folder, name, NotAnImageError("the link leads back into its own folder"))
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
        except OSError as error:  # a link to itself, or into a folder that may not be searched
            yield self._no(path, name, SourceError(f"it cannot be looked at ({error.strerror})"))
            return
        if is_folder:
            if entry.name.startswith("."):
                yield self._no(path, name, NotAnImageError("its name starts with a dot"))
            elif self._results is not None and path.absolute() == self._results:
                yield self._no(path, name, NotAnImageError("the folder takes this order's results"))
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
        """Name the pictures of a folder that is a sequence: it has some, and no video."""
        if not self._moving or any(skip_reason(entry.name, moving=True) is None for entry in entries):
            return set()
        return {
            entry.name
            for entry in entries
            if not entry.is_dir() and _skip(entry, delivered, moving=False) is None
        }


def _skip(entry: os.DirEntry[str], delivered: set[str], *, moving: bool) -> str | None:
    """Say why an entry is not tried; opening a pipe or a device would wait for ever."""
    if reason := skip_reason(entry.name, moving=moving):
        return reason
    if f"{entry.name}-meta.json" in delivered:
        return "it is the result of an earlier run"
    if not entry.is_file() and Path(entry.path).exists():
        return "it is no regular file"
    return None
