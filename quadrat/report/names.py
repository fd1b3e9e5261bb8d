"""Names of products: readable and unique, flat or as paths that mirror the tree of the sources."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from quadrat.stores.addresses import shown
from quadrat.types import Source

LONGEST = 80
LONGEST_BYTES = 160
"""The longest part of a path: endings and labels are added, and file systems allow 255 bytes."""
KINDS = {"pseudo": "mask", "mp4": "video", "webm": "video"}
"""The folders of products whose ending does not begin with the folder's name."""
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
_RESERVED = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]+')
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


class Names:
    """Allots names that no other product of the run has, even on a file system that ignores case.

    Names depend only on the sources that were listed before, so two runs give the same ones. With `in_folders`, the
    stem of a source is its path in the given folder, without its suffix, as in "T13/IMG_0100"; otherwise it is plain
    ASCII and flat.
    """

    def __init__(self, *, in_folders: bool = False) -> None:
        self._in_folders = in_folders
        self._taken: set[str] = set()
        self._last: dict[str, int] = {}

    def of(self, source: Source) -> str:
        """Allot a stem to a source of any media."""
        return self.stem(source.name) if source.media == "image" else self.video(source)

    def stem(self, source_name: str) -> str:
        """Allot a stem: the name without its suffix, numbered if it is taken."""
        base = mirrored(source_name) if self._in_folders else slug(source_name)
        number = self._last.get(base, 1)
        stem = base if number == 1 else f"{base}-{number}"
        while _folded(stem) in self._taken:
            number += 1
            stem = f"{base}-{number}"
        self._last[base] = number
        self._taken.add(_folded(stem))
        return stem

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
        while f"{_folded(name)}/" in self._taken:
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        self._taken.add(f"{_folded(name)}/")  # a stem never ends in a slash
        return name


def folder_of(ending: str) -> str:
    """Return the folder of all products with an ending: "overlay" for ".overlay.jpg", "mask" for ".pseudo.png"."""
    word = "mask" if ending.endswith(".mask.png") else ending.split(".")[1]
    return KINDS.get(word, word)


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


def mirrored(source_name: str) -> str:
    """Turn the name of a source into a path without suffix whose parts every file system allows.

    Letters of all scripts stay. No part begins with a dot, and none leads to a parent folder.
    """
    *folders, last = source_name.replace("\\", "/").split("/")
    suffix = PurePosixPath(last).suffix
    parts = [_allowed(part) for part in folders if part not in ("", ".", "..")]
    return "/".join([*parts, _allowed(last[: -len(suffix)] if suffix else last) or "image"])


def _allowed(part: str) -> str:
    """Replace what a part of a path must not contain, and cut it if it is too long."""
    text = unicodedata.normalize("NFC", _RESERVED.sub("-", part))
    text = "".join(letter if letter.isprintable() else "-" for letter in text)
    text = text[:LONGEST].encode("utf-8", "replace")[:LONGEST_BYTES].decode("utf-8", "ignore").strip(" .")
    return f"_{text}" if not text or _DEVICES.match(text) else text


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
