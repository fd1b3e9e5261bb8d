"""Names of products: readable, plain ASCII, and unique."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from quadrat.stores.addresses import shown
from quadrat.task_kinds import TASKS, kind_of
from quadrat.types import Source

LONGEST = 80
_VIDEOS = (".mp4", ".webm")
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


class Names:
    """Allots names that no other product of the run has, even on a file system that ignores case.

    `taken` are the names that already exist in the destination; `labels` are those of the models, if there are
    several.
    """

    def __init__(self, taken: Iterable[str] = (), labels: Iterable[str] = ()) -> None:
        self._taken = {name.casefold() for name in taken}
        self._stems: set[str] = set()
        self._last: dict[str, int] = {}
        endings = [*_VIDEOS, *(each for task in TASKS for each in kind_of(task).endings)]
        self._endings = [
            f".{label}{each}" if label else each for label in labels or ("",) for each in endings
        ]

    def of(self, source: Source) -> str:
        """Allot a stem to a source of any media."""
        return self.stem(source.name) if source.media == "image" else self.video(source)

    def stem(self, source_name: str) -> str:
        """Allot a stem: the base name without its suffix, numbered if it is taken."""
        base = slug(source_name)
        number = self._last.get(base, 1)
        stem = base if number == 1 else f"{base}-{number}"
        while not self._is_free(stem):
            number += 1
            stem = f"{base}-{number}"
        self._last[base] = number
        self._stems.add(stem.casefold())
        return stem

    def _is_free(self, stem: str) -> bool:
        stem = stem.casefold()
        return stem not in self._stems and not any(
            f"{stem}{ending}".casefold() in self._taken for ending in self._endings
        )

    def video(self, source: Source) -> str:
        """Allot a stem to a video, a sequence or a stream.

        A sequence keeps the dots in the name of its folder. The stem of a stream is the host and path of its address.
        """
        name = shown(source.name, source)
        if source.media == "stream" and "://" in name:
            place = name.partition("://")[2].partition("?")[0].rpartition("@")[2]
            host, _, path = place.partition("/")
            name = re.sub(r"[/:]+", "-", f"{host}/{_SUFFIX.sub('', path)}.folder")
        return self.stem(f"{name}.folder" if source.media == "sequence" else name)

    def whole(self, name: str) -> str:
        """Allot a whole file name such as survey.csv, numbered before its suffix if it is taken."""
        path = PurePosixPath(name)
        number = 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        self._taken.add(name.casefold())
        return name


def slug(source_name: str) -> str:
    """Turn a path or URN into a plain ASCII stem: the base name, or the last part of the URN."""
    last = source_name.rsplit("/", 1)[-1]
    if source_name.startswith("urn:") and "/" not in source_name:
        last = source_name.rsplit(":", 1)[-1]
    else:
        last = last[: -len(PurePosixPath(last).suffix)] if PurePosixPath(last).suffix else last
    plain = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:LONGEST].rstrip("-.")
    return plain or "image"
