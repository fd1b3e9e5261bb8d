"""The images or videos in several files and folders, as one list of sources."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from quadrat.errors import NotAnImageError
from quadrat.formats import skip_reason
from quadrat.parameters.limits import InstanceSettings
from quadrat.stores.instances import Instances, is_list
from quadrat.stores.listing import file_source, file_urn, list_images, list_videos
from quadrat.types import Failure, Source, StoreItem


@dataclass(frozen=True, slots=True)
class Places:
    """The sources of one kind in several places; every iteration lists the places anew.

    `files` are taken whatever their names, lists of instances are read, `folders` are listed with their sub-folders, without the folder
    `results`. With `moving` they are videos, otherwise images. `sequences` takes each folder that contains only
    images as one video. If `both` kinds are measured, each leaves out what belongs to the other without a row.
    Files that several places share are listed once.
    """

    places: tuple[Path, ...]
    results: Path | None = None
    moving: bool = False
    sequences: bool = False
    both: bool = False
    instances: InstanceSettings = field(default_factory=InstanceSettings)

    @property
    def described(self) -> str:
        """The folders and files as a text; more than one file are a number and a digest of their paths."""
        folders = [file_urn(place) for place in self.places if place.is_dir()]
        files = [file_urn(place) for place in self.places if not place.is_dir()]
        if len(files) > 1:
            digest = hashlib.sha256("\n".join(files).encode()).hexdigest()
            files = [f"{len(files)} files in {file_urn(self.places[-1].parent)} ({digest[:12]})"]
        return ", ".join([*folders, *files])

    def __iter__(self) -> Iterator[StoreItem]:
        """Yield the sources in the order of the places, and by name within a folder; a Failure for other files."""
        seen: set[str] = set()
        for place, prefix in zip(self.places, prefixes(self.places), strict=True):
            for item in self._of(place):
                source = item.source if isinstance(item, Failure) else item
                if source.urn in seen or not self._belongs(item):
                    continue
                if len(self.places) > 1:
                    seen.add(source.urn)
                yield _named(item, place, prefix)

    def _of(self, place: Path) -> Iterator[Source | Failure]:
        if is_list(place) and not self.moving:
            yield from Instances(place, self.instances)
        elif not place.is_dir():
            yield file_source(place, place.name, "video" if self.moving else "image")
        elif self.moving:
            yield from list_videos(place, self.results)
        elif not self.sequences:
            yield from list_images(place, self.results)

    def _belongs(self, item: Source | Failure) -> bool:
        """Return False for what is no row of this kind: a folder of images, or a file of the other kind."""
        if isinstance(item, Source):
            return self.sequences or item.media != "sequence"
        other = skip_reason(PurePath(item.source.name).name, moving=not self.moving) is None
        return not (self.both and other and isinstance(item.error, NotAnImageError))


def prefixes(places: Sequence[Path]) -> list[str]:
    """Return what comes before the names of each place's sources, so that names of several places differ.

    One place needs none. Of several, it is the path of the folder, or of the folder that holds the file, below
    their common parent.
    """
    if len(places) == 1:
        return [""]
    whole = [os.path.abspath(place) for place in places]  # noqa: PTH100 - it resolves ".." but keeps links
    parents = [os.path.dirname(path) for path in whole]  # noqa: PTH120
    try:
        common = os.path.commonpath(parents)
    except ValueError:  # two drives
        return [
            Path(path if place.is_dir() else parent).name
            for path, parent, place in zip(whole, parents, places, strict=True)
        ]
    heads = [
        path if place.is_dir() else parent for path, parent, place in zip(whole, parents, places, strict=True)
    ]
    return ["" if head == common else os.path.relpath(head, common) for head in heads]


def _named(item: Source | Failure, place: Path, prefix: str) -> StoreItem:
    """Put the prefix before the name of a source; a place that is itself a sequence is named by it."""
    if not prefix:
        return item
    source = item.source if isinstance(item, Failure) else item
    alone = place.is_dir() and source.token == str(place.absolute())
    renamed = replace(source, name=prefix if alone else str(PurePath(prefix) / source.name))
    if isinstance(item, Failure):
        return replace(item, source=renamed, error=item.error.at(renamed.name))
    return renamed
