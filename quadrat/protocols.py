"""The protocols between rooms. Their arguments and results are values of quadrat.types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import Geometry, Window
from quadrat.predictions import Detections, Prediction, Tracked
from quadrat.records import SourceRecord
from quadrat.types import Blob, Frame, OutputSpec, Part, Product, Reading, Source, StoreItem


class Ledger(Protocol):
    """Knows what earlier runs of the same order have measured."""

    folder: Path
    """Where temporary files go."""
    part: Path | None
    """The file of the table that grows while the order is under way; None if there is none."""

    def begin(self, identity: Mapping[str, str]) -> None:
        """Begin or continue a run; ResultsError if the results there are those of another order."""

    def known(self, source: Source) -> SourceRecord | None:
        """Return the record of a source that need not be measured again; None for any other. From any thread."""

    def commit(self, record: SourceRecord, *, whole: bool = True) -> None:
        """Note the record of a source after its products; one that is not `whole` is measured again.

        Raises DeliveryError if the note cannot be written.
        """

    def make_room(self, *, reached: bool) -> None:
        """Give the room back that was kept free for the tables; call it before they are delivered.

        `reached` is True if the order has reached all its sources.
        """

    def complete(self) -> None:
        """Remove results of earlier runs that are no longer part of the order, after all others are delivered."""


class Store(Protocol):
    """Where artifacts come from and products go."""

    order: str
    moving: bool
    """True if its sources are videos, sequences and streams; False if they are images."""
    in_folders: bool
    """True if names of products are paths, with a folder for each kind; False if they are flat."""

    @property
    def place(self) -> str:
        """What names the place of the sources; two orders with different places have no results in common."""

    def ledger(self) -> AbstractContextManager[Ledger]:
        """Give the order's ledger. Raises ResultsError if another run is writing to the same place."""

    def check(self) -> None:
        """Raise DeliveryError if it is already clear that no product can be delivered."""

    def models(self) -> AbstractContextManager[Mapping[str, Path]]:
        """Provide the model archives as local files, by URN and in order, while the context is open."""

    def index(self) -> AbstractContextManager[Path | None]:
        """Provide the index.tgz that the order begins with while the context is open; None if there is none."""

    def sources(self) -> Iterator[StoreItem]:
        """Yield the sources in order, a Failure(NotAnImageError) for each other file, and Flush before waiting."""

    def pull(self, source: Source) -> AbstractContextManager[Blob]:
        """Provide the content of a source while the context is open; SourceError if it cannot be read."""

    def deliver(self, product: Product) -> str:
        """Deliver a product, completely or not at all, and return its URN; DeliveryError if that fails."""

    def acknowledge(self, source: Source) -> None:
        """Record that all products of this source are delivered."""

    def release(self, source: Source) -> None:
        """Leave a source that is not available at the moment to a later order, if the store can do that (a queue)."""

    def relist(self) -> Iterator[Source]:
        """Yield the sources again without taking any; nothing if the store cannot do that (a queue)."""


class Engine(Protocol):
    """Runs a network: arrays in, arrays out. It knows no image, task or class.

    An engine may have `set_threads(count)`, which loads its network again with another number of threads while no
    run is in progress; cpu-threads=auto needs it.
    """

    name: str
    version: str
    device: str
    precision: str
    outputs: Sequence[OutputSpec]
    at_once: int  # number of runs that may overlap, each in its own thread

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run the network on (N, C, H, W) float32 and return the requested outputs by name."""

    def close(self) -> None:
        """Free the network; further calls are errors."""


class Task(Protocol):
    """Turns network outputs into predictions in source pixels, with one fold per frame."""

    name: str
    wanted: Sequence[str]
    """Names of the network outputs that every part needs."""
    batched: bool
    """True if the network takes several inputs at once; otherwise a Part holds its outputs unchanged."""

    def start(self, frame: Frame) -> Fold:
        """Plan the parts of a frame, and return the fold that takes them.

        Raises QuadratError if the frame cannot be planned, for instance because it takes too many tiles.
        """


class Fold(Protocol):
    """Turns the parts of one frame into its prediction. Folds of several frames may be open at the same time."""

    windows: tuple[Window | None, ...]
    """One entry per part, in pixels of the frame at working size; None is the whole frame.

    A task without a network has no parts: its fold is finished at once.
    """

    def add(self, number: int, part: Part) -> None:
        """Add the network's outputs for `windows[number]`; parts may come in any order, each exactly once.

        Raises EngineRunError for outputs that cannot be used, and ModelError if the network is at fault. Do not use
        a fold after it has raised.
        """

    def finish(self) -> Prediction:
        """Return the prediction. Raises QuadratError (E_INTERNAL) if a part is missing."""


class Reader(Protocol):
    """An open video, sequence or stream; iterate it once."""

    reading: Reading
    """What is known so far; complete after the last frame."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the sampled frames in order, upright and with their presentation times."""

    def close(self) -> None:
        """Stop reading, from any thread; an iteration in progress ends soon."""


class Tracker(Protocol):
    """Links the detections of one source over time; each source has its own tracker."""

    needs_embeddings: bool
    """True if `update` uses `embeddings`; otherwise callers need not compute them."""

    def update(
        self, detections: Detections, embeddings: NDArray[np.float32] | None = None, steps: float = 1.0
    ) -> Tracked:
        """Track the N detections of the next frame, without modifying them.

        `embeddings` (N, D) float32 of length 1 describe what each object looks like; None if they are unknown, and
        a row of zeros if that of one object is.
        `steps` is the time since the previous frame, in usual frame intervals.
        """

    def reset(self) -> None:
        """Drop all tracks; numbers are never reused."""


Transform = Callable[[NDArray[Any], Geometry], tuple[NDArray[Any], Geometry]]
