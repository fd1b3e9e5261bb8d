"""The interface of executors: the work that they get, and the run that they return."""

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
from quadrat.records import Tuning
from quadrat.report.base import ModelFacts
from quadrat.types import StoreItem


@dataclass(frozen=True, slots=True)
class Work:
    """The models and settings of an order; it can be pickled.

    `archives` are the model archives and `urns` their URNs, in the same order. `moving` is True if the sources are
    videos, sequences and streams. `in_folders` is True if names of products are paths.
    """

    archives: tuple[Path, ...]
    urns: tuple[str, ...]
    order: str
    settings: Settings
    moving: bool
    in_folders: bool = False

    @property
    def throughput(self) -> bool:
        """True to set up networks for a stream of frames; with idle-seconds, each frame waits for the one before."""
        return self.moving and not self.settings.frames.idle_seconds


class Measuring(Protocol):
    """One run of the unit of work. Iterate it once, and then call `unfinished` if it ended early."""

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages of the pipeline with their times so far."""

    @property
    def tuning(self) -> Sequence[Tuning]:
        """What was chosen for each model with batch-size=auto or cpu-threads=auto."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """Busy seconds by stage, without warm-up."""

    @property
    def warm_up_s(self) -> float:
        """Seconds spent in warm-up runs."""

    def __iter__(self) -> Generator[Event, None, None]:
        """Yield products and records as sources are measured. Deliver a product before you take the next event."""

    def unfinished(self, error: QuadratError) -> Iterator[Event]:
        """Yield products and records of unfinished sources."""


class Executor(Protocol):
    """Loaded models that measure sources somewhere; `facts` describes them."""

    facts: Sequence[ModelFacts]

    def measure(self, items: Iterable[StoreItem], pull: Pull, folder: Path) -> Measuring:
        """Measure sources as they come; `folder` holds temporary files until the tables are made."""
