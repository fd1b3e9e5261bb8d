"""index.tgz of an order: the entries of all records, appended to an earlier index or to a new one."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from quadrat.errors import IndexFileError, ParameterError
from quadrat.index import archive
from quadrat.index.identity import Identity
from quadrat.index.read import IndexReader
from quadrat.index.write import IndexedFrame, IndexedSource, IndexWriter
from quadrat.package.gzipped import MAX_PACKED, MAX_UNPACKED
from quadrat.records import SourceRecord
from quadrat.report.aspects import table_aspect
from quadrat.report.base import ModelFacts, plain
from quadrat.report.features import entries_of
from quadrat.report.names import Names
from quadrat.stores.addresses import shown
from quadrat.stores.files import cannot_write
from quadrat.types import Product

COLUMNS = (
    "source", "frame", "object", "time_s", "x0", "y0", "x1", "y1", "track", "class", "score", "cover", "site", "taken",
    "latitude", "longitude", "vector", "thumb",
)  # fmt: skip
DATABASE = "from-index"


class IndexFold:
    """Folds records into index.tgz; `base` is the database of an earlier index, None for a new one.

    Raises IndexFileError if the earlier index has vectors of another embedding, DeliveryError if there is no room for it.
    """

    def __init__(self, models: Sequence[ModelFacts], names: Names, folder: Path, base: Path | None) -> None:
        check_index(models, base)
        self._model = models[0]
        self._name = names.whole(archive.FILE)
        self._path, self._out = folder / DATABASE, folder / "index.tgz.part"
        digests = {model.name: _digest(model) for model in models}
        try:
            for old in (self._path, Path(f"{self._path}-wal"), Path(f"{self._path}-shm")):
                old.unlink(missing_ok=True)
            if base is not None:
                shutil.copyfile(base, self._path)
            self._writer = IndexWriter(self._path, embedding_of(models), digests, new=base is None)
            self._writer.__enter__()
        except sqlite3.Error as error:
            raise cannot_write(
                folder, OSError(errno.ENOSPC, f"the index cannot be written: {error}")
            ) from error
        except OSError as error:
            raise cannot_write(folder, error) from error
        self._error: Exception | None = None

    def add(self, record: SourceRecord) -> None:
        """Append a source."""
        if record.entries is None or self._error is not None:
            return
        try:
            entries = ((IndexedFrame(f.index, f.time_s), entry) for f, entry in entries_of(record))
            self._writer.add(source_of(record), entries)
        except (sqlite3.Error, OSError, IndexFileError) as error:
            self._error = error

    def products(self) -> Iterator[Product]:
        """Yield index.tgz; OSError if it cannot be written, IndexFileError if it has vectors of another embedding."""
        try:
            self._writer.__exit__(*((None, None, None) if self._error is None else (OSError, None, None)))
            if self._error is not None:
                raise self._error
            facts = _facts(self._path)
            self._check_size(self._path, MAX_UNPACKED - MAX_UNPACKED // 1000)  # the tar is a little larger
            archive.pack(self._path, self._out, facts)
            self._check_size(self._out, MAX_PACKED)
        except sqlite3.Error as error:
            raise OSError(errno.ENOSPC, f"the index cannot be written: {error}") from error
        self._path.unlink(missing_ok=True)
        aspect = table_aspect("index", COLUMNS, self._model.provenance, facts["rows"])
        yield Product(self._name, "application/gzip", self._out, aspect | facts)

    def _check_size(self, path: Path, most: int) -> None:
        """Raise IndexFileError if a file is larger than one that can be read again."""
        if (size := path.stat().st_size) > most:
            raise IndexFileError(
                f"it would have {size} bytes, and {most} are the most that are read",
                where=self._name,
                hint="Make an index for each part of the sources",
            )


def _facts(database: Path) -> dict[str, Any]:
    """Return what the manifest and the metadata of an index state."""
    reader = IndexReader(database)
    try:
        embedding = reader.embedding
        known = None if embedding is None else {"name": embedding.name, "sha256": embedding.digest}
        return {
            "rows": reader.count(),
            "vectors": reader.vectors(),
            "embedding": known,
            "dimension": 0 if embedding is None else embedding.dimension,
            "metric": "cosine",
        }
    finally:
        reader.close()


def source_of(record: SourceRecord) -> IndexedSource:
    """Return a source as an index holds it."""
    source, image, reading = record.source, record.image, record.reading
    hw = image.source_hw if image is not None else reading.hw if reading is not None else (0, 0)
    exif = image.exif if image is not None else {}
    name = plain(shown(source.name, source))
    folder = "" if source.media == "stream" else str(PurePosixPath(name.replace("\\", "/")).parent)
    return IndexedSource(
        content=content_of(record),
        urn=plain(shown(source.urn, source)),
        name=name,
        media=source.media,
        site="" if folder == "." else folder,
        taken=_iso(exif.get("DateTimeOriginal", "")),
        latitude=_degrees(exif.get("GPSLatitude")),
        longitude=_degrees(exif.get("GPSLongitude")),
        width=hw[1],
        height=hw[0],
    )


def content_of(record: SourceRecord) -> str:
    """Return what identifies the content of a source: the sha256 of its bytes, or of what was found in it.

    A stream and a folder of images have no bytes of their own.
    """
    digest = record.image.digest if record.image is not None else ""
    digest = digest or (record.reading.digest if record.reading is not None else "")
    if digest:
        return digest
    sha = hashlib.sha256()
    for frame, entry in entries_of(record):
        labels = [[each.model, each.id, each.score, each.cover] for each in entry.labels]
        sha.update(json.dumps([frame.index, frame.time_s, entry.box, entry.track, labels]).encode())
        for _, vector in sorted(entry.vectors.items()):
            sha.update(vector.tobytes())
        sha.update(entry.thumb)
    return f"found:{sha.hexdigest()}"


def embedding_of(models: Sequence[ModelFacts]) -> Identity | None:
    """Return the embedding whose vectors an index of these models holds, None if no model gives any.

    An embedding archive comes before the features of a classifier. Raises ParameterError if there are several
    embedding archives, because an index holds the vectors of one.
    """
    models = [model.own or model for model in models]
    found = [model for model in models if "vector" in _fields(model)]
    if len(found) > 1:
        named = " and ".join(repr(model.name) for model in found)
        raise ParameterError(
            f"an index holds the vectors of one model, and {named} give some",
            where="index",
            hint="Give one of them, or leave --index out",
        )
    found = found or [model for model in models if _features(model)]
    return Identity(_digest(found[0]), found[0].name) if found else None


def _digest(model: ModelFacts) -> str:
    """Return what identifies the results of a model: the sha256 of its archive, and the steps before it."""
    made = model.provenance
    return made.model_digest if made.enhance in ("", "none") else f"{made.model_digest}+{made.enhance}"


def _features(model: ModelFacts) -> bool:
    """Return True for a classifier whose archive names its features: it gives them for an index."""
    outputs = json.loads(model.stated).get("outputs") if model.stated else None
    return "features" in _fields(model) and isinstance(outputs, dict) and "features" in outputs


def _fields(model: ModelFacts) -> set[str]:
    kind = model.kind.prediction
    return {each.name for each in fields(kind)} if is_dataclass(kind) else set()


def check_index(models: Sequence[ModelFacts], base: Path | None) -> None:
    """Raise IndexFileError if an index has vectors of another embedding than an archive of the order."""
    embedding = embedding_of(models)
    if base is None or embedding is None:
        return
    reader = IndexReader(base)
    try:
        if reader.embedding is not None:
            reader.embedding.check(embedding, "from-index")
    finally:
        reader.close()


def _iso(taken: str) -> str | None:
    """Convert the camera's 2024:05:06 07:08:09 to ISO 8601; None for anything else."""
    match = re.match(r"(\d{4}):(\d\d):(\d\d) (.+)", taken)
    return None if match is None else f"{match[1]}-{match[2]}-{match[3]}T{match[4]}"


def _degrees(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
