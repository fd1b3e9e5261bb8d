"""What a task contributes to reports: a collector for each source, and tables that fold over records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from quadrat.errors import QuadratError
from quadrat.records import ModelRecord, SourceRecord
from quadrat.report.names import Names
from quadrat.task_kinds import TaskKind, kind_of
from quadrat.types import ClassInfo, Closing, Product, Provenance, Result, SourceClosed


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model without its network: picklable, and enough to write products and tables.

    `label` goes into the names of products; it is empty if there is only one model. `groups` are the groups of
    settings that the parts of its task receive; `in_force` gives, by parameter, what the run made of settings whose
    values leave it open.
    """

    name: str
    task: str
    label: str
    provenance: Provenance
    classes: tuple[ClassInfo, ...]
    num_classes: int | None
    groups: tuple[Any, ...] = ()
    in_force: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> TaskKind:
        """The record of the model's task."""
        return kind_of(self.task)

    def product_name(self, stem: str, ending: str) -> str:
        """Name a product of this model; `stem` is the source's, `ending` the kind of product and its suffix."""
        return f"{stem}.{self.label}{ending}" if self.label else f"{stem}{ending}"

    def table_name(self, names: Names, table: str) -> str:
        """Take the name of a table of this model."""
        return names.whole(f"{self.label}.{table}" if self.label else table)


class Collector(Protocol):
    """Gathers what one model finds in one source, and makes the products that are the source's own."""

    def picture(self, result: Result) -> Iterator[Product]:
        """Take a picture and yield its products."""

    def frame(self, result: Result) -> None:
        """Take one frame of a video, sequence or stream, also a skipped one."""

    def closed(self, closed: SourceClosed) -> Iterator[Product]:
        """Yield the products of a video, sequence or stream whose frames have all come."""

    def record(self) -> ModelRecord:
        """Give what the model contributes to the record; call it when all products are delivered."""


class Tables(Protocol):
    """Folds the records of an order into one model's tables; `add` takes them in their final order."""

    def cells(self, record: ModelRecord) -> list[dict[str, Any]]:
        """Give the cells of survey.csv that are the task's own, one dict for each row of the source."""

    def add(self, source: SourceRecord, record: ModelRecord) -> None:
        """Take one record of the model."""

    def totals(self) -> dict[str, Any]:
        """Give what the aspect of the survey says of all records."""

    def products(self) -> Iterator[Product]:
        """Yield the tables, once all records are added."""


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Round a number that may be missing; scores are exact to about three digits."""
    return None if value is None else round(value, digits)


def plain(text: str) -> str:
    """Replace characters that UTF-8 cannot hold, which names of files may have."""
    return text.encode("utf-8", "replace").decode()


def mime_of(video: Path) -> str:
    """Give the mime type of an annotated video."""
    return "video/webm" if video.suffix == ".webm" else "video/mp4"


def error_text(faults: Sequence[QuadratError]) -> str | None:
    """Give all errors as one line, each with its code; None if there are none."""
    return "; ".join(fault.line for fault in faults) or None


def status_of(closing: Closing) -> str:
    """Give the status of a video for one model: without a measured frame it says nothing."""
    if closing.faults:
        return "partial"
    return "ok" if closing.measured else "skipped"
