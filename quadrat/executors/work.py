"""What executors are given and what they give back."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from quadrat.errors import QuadratError
from quadrat.parameters import Settings
from quadrat.pipeline.chain import Stage
from quadrat.pipeline.measure import Event
from quadrat.pipeline.read import Pull
from quadrat.report.base import ModelFacts
from quadrat.types import StoreItem


@dataclass(frozen=True, slots=True)
class Work:
    """The models and settings of an order; picklable.

    `archives` are the model archives and `urns` theirs, in the same order. `moving` is True if the sources are
    videos, sequences and streams.
    """

    archives: tuple[Path, ...]
    urns: tuple[str, ...]
    order: str
    settings: Settings
    moving: bool

    @property
    def throughput(self) -> bool:
        """True if a stream of frames is measured; with idle-seconds a frame waits for the answer to the one before."""
        return self.moving and not self.settings.frames.idle_seconds


class Measuring(Protocol):
    """One run of the unit of work. Iterate it once; ask for the rest when it is over."""

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages of the pipeline, with the time that each has spent so far."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """Busy seconds by stage, warm-up left out."""

    @property
    def warm_up_s(self) -> float:
        """Seconds spent in runs that do not count."""

    def __iter__(self) -> Generator[Event, None, None]:
        """Yield products and records as sources are measured; a product is delivered before the next event."""

    def unfinished(self, error: QuadratError) -> Iterator[Event]:
        """Yield products and records of the sources that the run ended in the middle of."""


class Executor(Protocol):
    """Loaded models that measure sources somewhere; `facts` describes them."""

    facts: Sequence[ModelFacts]

    def measure(self, items: Iterable[StoreItem], pull: Pull, folder: Path) -> Measuring:
        """Measure sources as they come; `folder` holds files under way, until the tables are made."""
