"""What a ledger writes down, and how it sees that a source has changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from quadrat.errors import DeliveryError, EngineError
from quadrat.records import SourceRecord
from quadrat.stores import instance
from quadrat.stores.files import digest_of
from quadrat.types import Source

META = "meta"
"""The folder of the products' metadata."""
FOLDER = ".quadrat"
"""The ledger's own folder in the folder of results."""
PART = "survey.part.csv"
"""The table of an order that is under way, row by row."""
MOST_DIFFERENCES = 6
"""The most differences between two orders that a line names."""
Files = Mapping[str, str]
"""Names below the folder of results, each with the sha256 (hex) of the file."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The beginning of a run; `identity` is what all runs into one folder have in common."""

    identity: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Written:
    """Files that are about to appear; `table` is True for those of the whole order."""

    files: Files
    table: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished source: its content by signature and digest, its files and its record.

    An entry without a record only says whose the files are: the source is measured again. That of a stream has none,
    because its address may contain a password, and its `urn` is a digest.
    """

    urn: str
    stem: str
    signature: str
    digest: str
    files: Files
    record: SourceRecord | None


def signature_of(source: Source) -> str:
    """Return what changes whenever a local file, or a file in a folder, is written; empty if it cannot be read."""
    path = Path(source.token)
    try:
        if instance.is_token(source.token):
            return instance.signature(source.token, _state(instance.list_of(source.token).stat()))
        if not source.token or not path.is_dir():
            return _state(path.stat())
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        states = [f"{os.fsencode(each.name)!r} {_state(each.stat())}" for each in entries]
        return hashlib.sha256("\n".join(states).encode()).hexdigest()
    except OSError:
        return ""


def content_digest(source: Source) -> str:
    """Return the sha256 (hex) of the content of a local source; OSError if it cannot be read."""
    if instance.is_token(source.token):
        return instance.digest(source.token)
    return digest_of(Path(source.token))


def _state(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} {status.st_dev}"


def checked_name(name: str) -> str:
    """Return the name of a product, a path below the folder of results; DeliveryError for any other."""
    path = PurePosixPath(name)
    if not path.parts or str(path) != name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise DeliveryError(f"{name!r} is not a file name")
    return name


def difference(earlier: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Name what differs between two identities; empty if nothing does.

    Of many differences, as between two commands, the first are named and the others counted.
    """
    names = [name for name in {**earlier, **now} if earlier.get(name) != now.get(name)]
    shown = names if len(names) <= MOST_DIFFERENCES else names[: MOST_DIFFERENCES - 1]
    texts = [
        f"{name} was {earlier.get(name, 'not set')}, and is {now.get(name, 'not set')}" for name in shown
    ]
    if len(shown) < len(names):
        texts.append(f"and {len(names) - len(shown)} more settings differ")
    return ", ".join(texts)


def metadata_name(name: str, *, in_folders: bool) -> str:
    """Return the path of a product's metadata: in the folder `meta`, or beside the product."""
    return f"{f'{META}/{tree(name)}' if in_folders else name}-meta.json"


def tree(name: str) -> str:
    """Return a product's name without the folder of its kind."""
    return name.partition("/")[2] or name


def with_paths(record: SourceRecord, moved: Callable[[Path], Path]) -> SourceRecord:
    """Return a record in which the files of columns have the paths that `moved` returns."""
    parts = tuple(
        replace(part, columns=replace(part.columns, path=moved(part.columns.path)))
        if getattr(part.columns, "path", None) is not None
        else part
        for part in record.models
    )
    entries = record.entries
    if getattr(entries, "path", None) is not None:
        entries = replace(entries, path=moved(entries.path))
    return replace(record, models=parts, entries=entries)


def is_final(record: SourceRecord) -> bool:
    """Return True if measuring the source again would give the same; a fault of the engine may pass."""
    read = record.image is not None or record.reading is not None
    passing = any(isinstance(fault, EngineError) for fault in record.faults)
    return read and not passing and record.status not in ("failed", "not-reached")


def column_files(record: SourceRecord) -> list[Path]:
    """List the files of columns of a record."""
    columns = [*(part.columns for part in record.models), record.entries]
    paths = [getattr(each, "path", None) for each in columns]
    return [path for path in paths if path is not None]
