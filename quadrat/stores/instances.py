"""A list of instances as sources: JSON lines, or one JSON document {"instances": [...]}.

The list is read piece by piece, so memory does not grow with it. Each instance becomes a source in its place; one
that is wrong becomes a failure with the name of its line, and the others are measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from quadrat.errors import InstanceError, ParameterError, SourceError
from quadrat.formats import LIST_SUFFIXES
from quadrat.parameters.limits import InstanceSettings
from quadrat.stores.instance import inside, parse_instance, token_of
from quadrat.stores.listing import file_source, file_urn
from quadrat.types import Failure, Source

CHUNK = 1 << 20
LONGEST_HEAD = 4096
"""Bytes in which the list of a document must begin."""
_HEAD = re.compile(
    rb'(?:\xef\xbb\xbf)?\s*\{\s*(?:"signature_name"\s*:\s*"[^"\\]*"\s*,\s*)?"instances"\s*:\s*\['
)
"""The beginning of a document; TensorFlow Serving allows the name of a signature in it."""
_TAIL = re.compile(rb'\s*(?:\}|,\s*"|\Z)')
"""What may follow the list of a document: its end, or another key."""
_MARK, _QUOTE, _BLANK = re.compile(rb'["{}\[\],]'), re.compile(rb'["\\]'), b" \t\r\n"


@dataclass(frozen=True, slots=True)
class _Piece:
    """The text of one instance: its number in the list, its place in the file, and its bytes unless there are too many."""

    number: int
    offset: int
    length: int
    body: bytes | None
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Instances:
    """The instances of the list in the file `path`; every iteration reads it anew."""

    path: Path
    limits: InstanceSettings = field(default_factory=InstanceSettings)

    def __iter__(self) -> Iterator[Source | Failure]:
        """Yield a source for each instance in the order of the list, or a Failure for one that is wrong.

        Raises ParameterError for more than max-instances, SourceError if the list cannot be read.
        """
        seen: set[str] = set()
        word = "line"
        try:
            with self.path.open("rb") as file:
                head = _HEAD.match(file.read(LONGEST_HEAD))
                file.seek(0)
                if head is not None:
                    word = "instance"
                pieces = self._lines(file) if head is None else self._elements(file, head.end())
                for count, piece in enumerate(pieces, 1):
                    if count > self.limits.max_instances:
                        raise ParameterError(
                            f"{self.path.name} lists more than {self.limits.max_instances:,} instances",
                            where="max-instances", hint="Raise --max-instances, or split the list",
                        )  # fmt: skip
                    yield self._item(piece, f"{word}-{piece.number:06d}", seen)
        except OSError as error:
            raise SourceError(f"the list cannot be read ({error.strerror})", where=str(self.path)) from error

    @property
    def described(self) -> str:
        """The URN of the list."""
        return file_urn(self.path)

    def _item(self, piece: _Piece, name: str, seen: set[str]) -> Source | Failure:
        source = Source(f"{file_urn(self.path)}#{name}", name)
        try:
            return self._source(piece, source, seen)
        except InstanceError as error:
            return Failure(source, "list", error.at(name))

    def _source(self, piece: _Piece, place: Source, seen: set[str]) -> Source:
        """Return the source of an instance. A file that is listed twice has the URN of its place the second time."""
        if not piece.closed:
            raise InstanceError(
                "the document ends before its list does, or goes on after it", hint="Write the list again"
            )
        if piece.body is None:
            raise InstanceError(
                f"it has {piece.length:,} bytes, more than the limit of {self.limits.max_instance_bytes:,}",
                hint="Give the picture as a file, or raise --max-instance-bytes",
            )
        instance = parse_instance(piece.body)
        if not instance.file:
            token = token_of(self.path, piece.offset, piece.length)
            return Source(place.urn, instance.name or place.name, token=token)
        path = inside(instance.file, self.path.parent)
        root = self.path.parent.absolute()
        name = str(path.relative_to(root)) if path.is_relative_to(root) else instance.file
        source = file_source(path, instance.name or name)
        if source.urn in seen:
            return Source(place.urn, source.name, token=source.token)
        seen.add(source.urn)
        return source

    def _lines(self, file: BinaryIO) -> Iterator[_Piece]:
        """Yield the lines that are not blank; of one that is too long, only its length."""
        most = self.limits.max_instance_bytes
        number = offset = 0
        while line := file.readline(most + 2):
            number += 1
            length, body = len(line), line.strip(_BLANK)
            while not line.endswith(b"\n") and length > most and (line := file.readline(CHUNK)):
                length += len(line)
            if length > most + 2 or len(body) > most:
                yield _Piece(number, offset, length, None)
            elif body:
                yield _Piece(number, offset, length, body)
            offset += length

    def _elements(self, file: BinaryIO, start: int) -> Iterator[_Piece]:
        """Yield the elements of the list that begins at `start`; of one that is too long, only its length."""
        for number, (begin, end, closed) in enumerate(_split(file, start), 1):
            length = end - begin
            file.seek(begin)
            body = file.read(length) if length <= self.limits.max_instance_bytes else None
            if closed and number == 1 and body is not None and not body.strip(_BLANK):
                return  # an empty list
            yield _Piece(number, begin, length, body, closed)


def is_list(path: Path) -> bool:
    """Return True for the name of a file that lists instances."""
    return path.suffix.lower() in LIST_SUFFIXES and not path.is_dir()


def _split(file: BinaryIO, start: int) -> Iterator[tuple[int, int, bool]]:
    """Yield (begin, end, True) of each element of a JSON list, whose first byte after [ is at `start`.

    The last one is (begin, end, False) if the file, or the object that holds the list, ends before the list does, or if
    more elements follow the list.
    """
    begin = offset = start
    depth, quoted, skip = 0, False, 0
    file.seek(offset)
    while chunk := file.read(CHUNK):
        position, skip = skip, 0
        while found := (_QUOTE if quoted else _MARK).search(chunk, position):
            mark, position = found.group(), found.end()
            if mark == b"\\":
                position += 1
            elif mark == b'"':
                quoted = not quoted
            elif mark in b"{[":
                depth += 1
            elif depth and mark in b"}]":
                depth -= 1
            elif not depth:
                end = offset + found.start()
                yield begin, end, mark != b"}"  # after a brace, it cannot be told what belongs to the list
                if mark != b",":
                    yield from _beyond(file, end + 1) if mark == b"]" else ()
                    return
                begin = end + 1
        skip = max(0, position - len(chunk))
        offset += len(chunk)
        file.seek(offset)
    yield begin, offset, False


def _beyond(file: BinaryIO, end: int) -> Iterator[tuple[int, int, bool]]:
    """Yield (end, end, False) if something follows the list, which ends at `end`, that would be lost in silence."""
    file.seek(end)
    if not _TAIL.match(file.read(LONGEST_HEAD)):
        yield end, end, False
