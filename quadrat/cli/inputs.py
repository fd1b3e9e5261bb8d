"""The words of `quadrat run`: which model, and which photographs, videos and streams."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from quadrat.errors import ParameterError
from quadrat.formats import IMAGE_SUFFIXES, IMAGE_WORDS, VIDEO_SUFFIXES, VIDEO_WORDS
from quadrat.media.kinds import looks_like
from quadrat.parameters import SETTINGS
from quadrat.parameters.applies import ONLY_IMAGES
from quadrat.parameters.orders import OUTPUTS
from quadrat.platforms.arguments import local_path
from quadrat.platforms.ivcap_order import find_archives
from quadrat.stores.addresses import public
from quadrat.stores.instances import is_list
from quadrat.stores.listing import list_images, list_videos
from quadrat.stores.paths import exists, is_gzip, swapped
from quadrat.types import Source

PHOTOS = "PHOTOS"
USAGE = "Write quadrat run MODEL PHOTOS..."
INDEX = "index.tgz"
"""The index in a folder of results."""
_MAGIC = re.compile(r"[*?\[]")
_VIDEO_BYTES = ("a video", "a video or sound file")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a command measures: the places with images, those with videos, and the addresses of streams.

    A folder with both images and videos is in both lists.
    """

    images: tuple[Path, ...] = ()
    videos: tuple[Path, ...] = ()
    streams: tuple[str, ...] = ()

    @property
    def media(self) -> tuple[str, ...]:
        """The kinds of media that are given, in the order in which they are measured."""
        kinds = {"image": self.images, "video": self.videos, "stream": self.streams}
        return tuple(kind for kind, given in kinds.items() if given)


def sort_inputs(words: Sequence[str], results: Path, *, sequences: bool = False) -> Inputs:
    """Sort files, folders, patterns and addresses by what they contain; `results` is not searched.

    With `sequences`, a folder is searched for videos and sequences only. Raises ParameterError for a word that names
    nothing, and for a folder without anything to measure.
    """
    images: list[Path] = []
    videos: list[Path] = []
    streams: list[str] = []
    for word in words:
        if "://" in word and not word.startswith("file:"):
            streams.append(_stream(word))
            continue
        for path in _paths(word):
            kinds = _kinds(path, results, sequences=sequences)
            if "image" in kinds:
                images.append(path)
            if "video" in kinds:
                videos.append(path)
    return Inputs(tuple(dict.fromkeys(images)), tuple(dict.fromkeys(videos)), tuple(dict.fromkeys(streams)))


def find_models(word: str, sources: Sequence[str]) -> list[Path]:
    """Return the archives that the first word names: one, several separated by commas, or a folder of them.

    Raises ParameterError if it names none, with a hint if it was swapped with a source.
    """
    references = (
        [word] if exists(Path(word), "MODEL") else [part.strip() for part in word.split(",") if part.strip()]
    )
    paths = [Path(part) for part in references]
    files = [Path(source) for source in sources]
    if (archive := swapped(paths, files)) is not None:
        raise ParameterError(
            f"it is not a model archive, but {str(archive)!r} is",
            where=word,
            hint=f"Write the model first: quadrat run {archive} {word}",
        )
    missing = next((part for part in references if not exists(Path(part), "MODEL")), None)
    if missing is not None:
        what, hint = "there is no such file or folder", f"{USAGE}; the first word is the model archive"
        raise ParameterError(what, where=missing, hint=hint)
    if len(paths) == 1 and paths[0].is_file() and not is_gzip(paths[0]):
        kind = _kind_of_file(paths[0])
        hint = f"{USAGE}; quadrat pack makes an archive from a network"
        if kind or paths[0].suffix.lower() in (".onnx", ".pt", ".pth", ".pdparams"):
            text = f"it is {kind}, not a model archive" if kind else "it is a network, not a model archive"
            raise ParameterError(text, where=word, hint=hint)
    return find_archives(references, Path())


def is_model(word: str, *, missing: bool = True) -> bool:
    """Return True for an archive and a folder that holds one, and `missing` for a word that names nothing that exists."""
    path = Path(word)
    if not exists(path, "MODEL"):
        return missing
    return any(is_gzip(each) for each in (path.glob("*.tgz") if path.is_dir() else [path]))


def index_in(path: Path, where: str) -> Path:
    """Return the index that a path means: the file, or the index.tgz in a folder of results.

    Raises ParameterError for a folder without one; `where` is the user's word, or the name of the parameter.
    """
    if not path.is_dir():
        return path
    if not (path / INDEX).is_file():
        raise ParameterError(
            f"it is a folder without {INDEX}", where=where, hint="quadrat run --index delivers an index"
        )
    return path / INDEX


def values_for(values: Mapping[str, Any], media: str, others: Sequence[str]) -> dict[str, Any]:
    """Return the values that one of several kinds of media gets: without those that apply only to the `others`."""
    kept = {name: value for name, value in values.items() if value is not None}
    if not others:
        return kept
    for parameter in SETTINGS:
        kinds = parameter.media
        if kinds and media not in kinds and set(kinds) & set(others):
            kept.pop(parameter.field, None)
    if media != "image" and "image" in others and kept.get("outputs"):
        named = [part.strip() for part in str(kept["outputs"]).split(",")]
        kept["outputs"] = ",".join(name for name in named if name not in ONLY_IMAGES) or "none"
    return kept


def described(media: str) -> str:
    """Return the plural for the sources of one kind of media."""
    return {"image": "images", "video": "videos", "stream": "streams"}[media]


def _stream(address: str) -> str:
    """Return the address of a stream; ParameterError for that of a photograph, which is no stream."""
    if PurePosixPath(re.split(r"[?#]", address)[0]).suffix.lower() in IMAGE_SUFFIXES:
        hint = "Download it, and give the file"
        raise ParameterError(
            "it is the address of a picture, not of a stream", where=public(address), hint=hint
        )
    return address


def _paths(word: str) -> Iterator[Path]:
    """Yield the paths of a word: the file or folder itself, or what a pattern matches, in order of name."""
    if word.startswith(("file:", "urn:")):
        yield local_path(word, Path(), PHOTOS)
    elif exists(Path(word), PHOTOS):
        yield Path(word)
    elif _MAGIC.search(word):
        found = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 - a pattern may be absolute
        if not found:
            raise ParameterError("no file or folder matches it", where=word, hint="Check the pattern")
        yield from map(Path, found)
    else:
        hint = USAGE
        if word and set(word.split(",")) <= {*OUTPUTS, ""}:
            hint = "If it is one of several --outputs, write them without spaces: --outputs pseudo,overlay"
        raise ParameterError("there is no such file or folder", where=public(word), hint=hint)


def _kinds(path: Path, results: Path, *, sequences: bool) -> set[str]:
    """Return the kinds of media in a file or folder; ParameterError if there are none."""
    if is_list(path):
        return {"image"}
    if not path.is_dir():
        if is_gzip(path):
            hint = f"{USAGE}; several models are one word, separated by commas: a.tgz,b.tgz"
            raise ParameterError("it is an archive, not a picture or a video", where=str(path), hint=hint)
        return {"video" if _is_video(path) else "image"}
    moving = (item for item in list_videos(path, results) if isinstance(item, Source))
    kinds = {"video"} if any(sequences or item.media == "video" for item in moving) else set()
    if not sequences and any(isinstance(item, Source) for item in list_images(path, results)):
        kinds.add("image")
    if not kinds:
        what = "there is nothing to measure in it"
        raise ParameterError(
            what, where=str(path), hint=f"Give a folder with {IMAGE_WORDS} images, or videos ({VIDEO_WORDS})"
        )
    return kinds


def _is_video(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES or suffix in IMAGE_SUFFIXES:
        return suffix in VIDEO_SUFFIXES
    return _first_bytes(path) in _VIDEO_BYTES


def _kind_of_file(path: Path) -> str:
    """Return "a picture" or "a video" for such a file, else an empty text."""
    if _is_video(path):
        return "a video"
    return "a picture" if path.suffix.lower() in IMAGE_SUFFIXES else ""


def _first_bytes(path: Path) -> str:
    try:
        if path.is_file():
            with path.open("rb") as file:
                return looks_like(file.read(4096))
    except OSError:
        pass  # the reader reports it
    return ""
