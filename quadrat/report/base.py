"""The interface of tasks to reports: a collector for each source, and tables that fold over records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from quadrat.errors import QuadratError
from quadrat.records import ModelRecord, SourceRecord
from quadrat.report.columns import FrameRow
from quadrat.report.names import Names, folder_of
from quadrat.task_kinds import TaskKind, kind_of
from quadrat.types import ClassInfo, Closing, Product, Provenance, Result, SourceClosed

BUILT_IN = "urn:quadrat:task:"
"""The beginning of the URN that stands for the model of a built-in task, which has none."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts about a model that products and tables need, without its network; it can be pickled.

    `label` is part of the names of products; it is empty if there is only one model. `groups` are the groups of
    settings that the parts of its task receive; `in_force` holds, by parameter, the values in force of settings
    that depend on model or machine. `in_folders` is True if names of products are paths. `trained_side` is the long
    side, in pixels, at which the network saw whole images in training; None if it is unknown, or if images are
    measured in tiles. `stated` is what the archive's meta.json states about its task, classes and outputs, as JSON.

    `about` is the detector whose objects the model measures, empty for a model of whole frames. Such a model is
    reported as objects with finer classes: `task` and `groups` are the detector's, and `own` is the record of the
    model itself, None for any other; `counted` is False if it gives objects no class, so that it has no tables of its own.
    `details` are the records of the models about this model's objects, whose cells objects.csv has. `variant` is the
    variant of `compare` that the model measures, empty without a comparison.
    """

    name: str
    task: str
    label: str
    provenance: Provenance
    classes: tuple[ClassInfo, ...]
    num_classes: int | None
    groups: tuple[Any, ...] = ()
    in_force: Mapping[str, Any] = field(default_factory=dict)
    trained_side: int | None = None
    stated: str = ""
    in_folders: bool = False
    about: str = ""
    counted: bool = True
    own: ModelFacts | None = None
    details: tuple[ModelFacts, ...] = ()
    variant: str = ""

    @property
    def kind(self) -> TaskKind:
        """The record of the model's task."""
        return kind_of(self.task)

    @property
    def has_network(self) -> bool:
        """False for a built-in task, which has no archive."""
        return not self.provenance.model.startswith(BUILT_IN)

    @property
    def plain_name(self) -> str:
        """The name of the model without its variant."""
        return self.name.removesuffix(f" {self.variant}") if self.variant else self.name

    def product_name(self, stem: str, ending: str) -> str:
        """Return the name of a product: `stem` is that of the source, `ending` the kind of product and its suffix.

        In folders it is a path that begins with the folder of its kind, as in "overlay/T13/IMG_0100.overlay.jpg".
        """
        name = f"{self.labelled(stem)}{ending}"
        return f"{folder_of(ending)}/{name}" if self.in_folders else name

    def labelled(self, stem: str) -> str:
        """Return a stem with the label of this model, if there are several."""
        return f"{stem}.{self.label}" if self.label else stem

    def temporary_name(self, stem: str, ending: str) -> str:
        """Return a short file name for temporary files of a source, as unique as its stem."""
        return f"{hashlib.sha256(self.labelled(stem).encode()).hexdigest()[:32]}{ending}"

    def table_name(self, names: Names, table: str) -> str:
        """Allot the name of a table of this model."""
        return names.whole(f"{self.label}.{table}" if self.label else table)


class Collector(Protocol):
    """Collects the results of one model for one source, and makes the source's products."""

    def picture(self, result: Result) -> Iterator[Product]:
        """Take the result of an image, and yield its products."""

    def frame(self, result: Result) -> None:
        """Take the result of one frame of a video, sequence or stream, measured or skipped."""

    def closed(self, closed: SourceClosed) -> Iterator[Product]:
        """Yield the products of a video, sequence or stream, after its last frame."""

    def record(self) -> ModelRecord:
        """Return the model's part of the record; call it after all products are delivered."""


@dataclass(frozen=True, slots=True)
class ClassValue:
    """The value of one class in one source: a cover in 0..1, or an integer count."""

    info: ClassInfo
    value: float


class Tables(Protocol):
    """Folds the records of an order into one model's tables, in two passes over all records in their final order.

    Before these, `learn` is called for every record: a class that an archive does not list is known only once it is
    found, and every source needs a row for it. The first pass calls `cells`, `values`, `count` and then `totals`, and
    writes nothing, so that survey.csv can be delivered before a table has taken its room on the disk. The second calls
    `add` and then `products`.

    `measure` says what the values of classes are, as a part of column names: "cover" or "count".
    """

    measure: str

    def learn(self, record: ModelRecord) -> None:
        """Take note of the classes in a record."""

    def classes(self) -> list[ClassInfo]:
        """List the classes of the archive and those that were found, in order of their index."""

    def values(self, record: ModelRecord) -> list[ClassValue]:
        """Return the value of every class in an image, also 0; nothing if it was not measured."""

    def cells(self, record: ModelRecord) -> list[dict[str, Any]]:
        """Return the task's own cells of survey.csv, one dict for each row of the source."""

    def count(self, record: ModelRecord) -> None:
        """Add one record of the model to the totals."""

    def totals(self) -> dict[str, Any]:
        """Return the totals over all records, for the aspect of the survey."""

    def add(self, source: SourceRecord, record: ModelRecord) -> None:
        """Write the rows of one record of the model."""

    def products(self) -> Iterator[Product]:
        """Yield the tables, after the last record; OSError, at the end, if one could not be written."""


class Fold(Protocol):
    """Folds the records of an order, in their final order, into products that are not those of one model."""

    def add(self, record: SourceRecord) -> None:
        """Add a record."""

    def products(self) -> Iterator[Product]:
        """Yield the products, after the last record; OSError, at the end, if one could not be written."""


@runtime_checkable
class ListsUnmeasured(Protocol):
    """Tables that also list the sources that their model could not measure."""

    def unmeasured(self, source: SourceRecord) -> None:
        """Write the row of a source that has no record of the model."""


@runtime_checkable
class ListsFrames(Protocol):
    """Tables that also have values for each frame of a video."""

    def frames(self, record: ModelRecord) -> Iterator[tuple[FrameRow, list[ClassValue]]]:
        """Yield each frame of a source with the value of every class; no values for one that was not measured."""


def finished(parts: Iterable[Iterator[Product]]) -> Iterator[Product]:
    """Yield the products of all parts; the first OSError that a part raised is raised after the last part."""
    failed: OSError | None = None
    for part in parts:
        try:
            yield from part
        except OSError as error:
            failed = failed or error
    if failed is not None:
        raise failed


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Round a number that may be missing; scores are exact to about three digits."""
    return None if value is None else round(value, digits)


def plain(text: str) -> str:
    """Replace characters that UTF-8 cannot encode; file names may contain them."""
    return text.encode("utf-8", "replace").decode()


def mime_of(video: Path) -> str:
    """Return the MIME type of an annotated video."""
    return "video/webm" if video.suffix == ".webm" else "video/mp4"


def error_text(faults: Sequence[QuadratError], name: str = "") -> str | None:
    """Return all errors as one line, each with its code; None if there are none.

    `name` is the source's, if it stands before the text, which then does not repeat it.
    """
    return "; ".join(fault.line_after(name) if name else fault.line for fault in faults) or None


def status_of(closing: Closing) -> str:
    """Return the status of a video for one model."""
    if closing.faults:
        return "partial"
    return "ok" if closing.measured else "skipped"
