"""List the images or videos in a folder: which files are tried, in which order, and why others are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from urllib.request import url2pathname

from quadrat.errors import NotAnImageError, QuadratError, SourceError, printable
from quadrat.formats import skip_reason
from quadrat.stores.delivered import Delivered, delivered_in
from quadrat.stores.entries import FOLDER
from quadrat.stores.products import product_reason
from quadrat.types import Failure, Media, Source


def place_of(urn: str) -> str:
    """Return the path of a local file's URN as people write it; any other URN unchanged."""
    local = urn.startswith("urn:file://")
    return printable(url2pathname(urn.removeprefix("urn:file://"))) if local else urn


def file_urn(path: Path) -> str:
    """Return the URN of a local file in the form of the SDK, percent-encoded so that it contains no spaces."""
    return "urn:" + Path(os.path.abspath(path)).as_uri()  # noqa: PTH100 - it resolves ".." but keeps links


def file_source(path: Path, name: str, media: Media = "image") -> Source:
    """Return the source of a local file or folder; its token is the path, even if that is not valid text."""
    readable = os.fsencode(name).decode(errors="replace")
    return Source(urn=file_urn(path), name=readable, media=media, token=str(path.absolute()))


def list_images(images: Path, results: Path | None = None) -> Iterator[Source | Failure]:
    """Yield the images in a folder and its sub-folders in order of name, or the one given file.

    A single file is tried whatever its name. Links to files are followed, except to a file below the same folder,
    which is measured under its own name. Links to folders are not followed. The folder `results`, and what an
    earlier run delivered anywhere, are skipped.
    """
    yield from _list(images, results, moving=False)


def list_videos(videos: Path, results: Path | None = None) -> Iterator[Source | Failure]:
    """Yield the videos in a folder and its sub-folders in order of name, or the one given file.

    A folder that contains pictures and no video is one source: a sequence. Otherwise as `list_images`.
    """
    yield from _list(videos, results, moving=True)


def list_frames(folder: Path) -> list[str]:
    """Return the names of the pictures in a folder that is read as a sequence, in no particular order.

    Raises OSError if the folder cannot be read.
    """
    entries = list(os.scandir(folder))
    names = {entry.name for entry in entries}
    return [entry.name for entry in entries if _is_picture(entry, names)]


def _list(place: Path, results: Path | None, *, moving: bool) -> Iterator[Source | Failure]:
    if place.is_dir():
        name = Path(os.path.abspath(place)).name or str(place)  # noqa: PTH100 - also for "." and ".."
        walk = _Walk(place, os.path.realpath(results) if results else None, name, moving=moving)
        yield from walk.all()
    else:
        yield file_source(place, place.name, "video" if moving else "image")


class _Walk:
    """One listing of images or videos in `place`; the folder `results`, a real path, is not measured."""

    def __init__(self, place: Path, results: str | None, root: str, *, moving: bool) -> None:
        self._place = place
        self._real_place = Path(os.path.realpath(place))
        self._results = results
        self._root = root
        self._moving = moving
        self._media: Media = "video" if moving else "image"
        self._ledgers: list[tuple[Path, Delivered, bool]] = []

    def all(self) -> Iterator[Source | Failure]:
        """Yield the content of the folder. A stack stands for the recursion, as folders can be nested deeply."""
        stack = [self._folder(self._place, PurePath())]
        while stack:
            item = next(stack[-1], None)
            if item is None:
                stack.pop()
            elif isinstance(item, tuple):
                stack.append(self._folder(*item))
            else:
                yield item

    def _folder(self, folder: Path, below: PurePath) -> Iterator[Source | Failure | tuple[Path, PurePath]]:
        """Yield the content of one folder, and its sub-folders as tuples; `below` is its path from the root."""
        name = below if below.parts else PurePath(self._root)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield self._no(folder, name, SourceError(f"the folder cannot be read ({error.strerror})"))
            return
        own = self._is_results(folder)
        if ledger := delivered_in(folder):
            self._ledgers.append((folder, ledger, own))
        if own:
            entries = [entry for entry in entries if entry.name != FOLDER]
        if self._ledgers:
            yield from self._delivered(entries, folder, below)
        names = {entry.name for entry in entries}
        frames = self._frames(entries, names)
        if frames:
            yield file_source(folder, str(name), "sequence")
        for entry in entries:
            if entry.name not in frames:
                yield self._entry(entry, folder / entry.name, below / entry.name, names)

    def _is_results(self, folder: Path) -> bool:
        return self._results is not None and os.path.realpath(folder) == self._results

    def _delivered(self, entries: list[os.DirEntry[str]], folder: Path, below: PurePath) -> Iterator[Failure]:
        """Remove the results of this order from `entries`, and yield those of others as failures.

        Results of this order have no rows: which of them are there already depends on the time.
        """
        for entry in list(entries):
            for root, names, own in self._ledgers:
                path = folder / entry.name
                if path.is_relative_to(root) and path.relative_to(root).as_posix() in names:
                    entries.remove(entry)
                    if not own:
                        error = NotAnImageError("it is the result of an earlier run")
                        yield self._no(path, below / entry.name, error)
                    break

    def _entry(
        self, entry: os.DirEntry[str], path: Path, name: PurePath, names: set[str]
    ) -> Source | Failure | tuple[Path, PurePath]:
        try:
            is_folder = entry.is_dir()
        except OSError as error:  # a link to itself, or into a folder without permission
            return self._no(path, name, SourceError(f"it cannot be accessed ({error.strerror})"))
        if not is_folder:
            reason = _skip(entry, names, moving=self._moving) or self._link_reason(entry)
            return (
                self._no(path, name, NotAnImageError(reason))
                if reason
                else file_source(path, str(name), self._media)
            )
        if entry.name.startswith("."):
            reason = "its name starts with a dot"
        elif self._is_results(path):
            reason = "the folder is for the results of this order"
        elif entry.is_symlink():
            reason = "it is a link to a folder, which is not followed; give that folder itself"
        else:
            return path, name
        return self._no(path, name, NotAnImageError(reason))

    def _link_reason(self, entry: os.DirEntry[str]) -> str | None:
        """Return a reason to skip a link to a file below the folder, as that file is measured under its own name."""
        if not entry.is_symlink() or not entry.is_file():
            return None
        target = Path(os.path.realpath(entry.path))
        if not target.is_relative_to(self._real_place) or skip_reason(target.name, moving=self._moving):
            return None
        below = target.relative_to(self._real_place)
        if any(part.startswith(".") for part in below.parts):
            return None
        return f"it is a link to {os.fsencode(below).decode(errors='replace')}, which is measured under that name"

    def _no(self, path: Path, name: PurePath, error: QuadratError) -> Failure:
        source = file_source(path, str(name), self._media)
        return Failure(source, "list", error.at(source.name))

    def _frames(self, entries: list[os.DirEntry[str]], names: set[str]) -> set[str]:
        """Return the names of the pictures if the folder is a sequence: it has pictures and no video."""
        if not self._moving or any(skip_reason(entry.name, moving=True) is None for entry in entries):
            return set()
        return {entry.name for entry in entries if _is_picture(entry, names)}


def _is_picture(entry: os.DirEntry[str], names: set[str]) -> bool:
    """Return True if an entry of a folder with these names is a frame of a sequence."""
    try:
        return not entry.is_dir() and _skip(entry, names, moving=False) is None
    except OSError:  # a link to itself
        return False


def _skip(entry: os.DirEntry[str], names: set[str], *, moving: bool) -> str | None:
    """Return why an entry is skipped, or None. Opening a pipe or a device would block."""
    if reason := skip_reason(entry.name, moving=moving):
        return reason
    if reason := product_reason(Path(entry.path), names.__contains__):
        return reason
    if not entry.is_file() and Path(entry.path).exists():
        return "it is not a regular file"
    return None
