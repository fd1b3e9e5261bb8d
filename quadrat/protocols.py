"""What the rooms expect of each other: protocols, whose calls the values of quadrat.types travel by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import Geometry, Window
from quadrat.types import (
    Blob,
    Detections,
    Frame,
    OutputSpec,
    Part,
    Prediction,
    Product,
    Reading,
    Source,
    StoreItem,
    Tracked,
)


class Store(Protocol):
    """Where artifacts come from and products go."""

    order: str
    moving: bool
    """Whether its sources are videos, sequences and streams, not images."""

    def check(self) -> None:
        """Raise DeliveryError where it is known already, hours before the first product, that none can be delivered."""

    def models(self) -> AbstractContextManager[Mapping[str, Path]]:
        """Give the model archives as local files by their URNs, in order, for as long as the context lasts."""

    def sources(self) -> Iterator[StoreItem]:
        """Yield the images in order; Failure(NotAnImageError) for what is none; Flush before waiting."""

    def pull(self, source: Source) -> AbstractContextManager[Blob]:
        """Give the content of a source for as long as the context lasts; SourceError if it cannot be read."""

    def deliver(self, product: Product) -> str:
        """Deliver whole or not at all and return the URN; DeliveryError if it cannot."""

    def acknowledge(self, source: Source) -> None:
        """Say that all products of this source are delivered."""

    def relist(self) -> Iterator[Source]:
        """List the images once more without taking any; nothing where that cannot be done (a queue)."""

    def taken(self) -> Sequence[str]:
        """Names that a product may not have, because something of that name is there already."""


class Engine(Protocol):
    """Arrays in, arrays out: knows no image and no class."""

    name: str
    version: str
    device: str
    precision: str
    outputs: Sequence[OutputSpec]
    at_once: int  # runs side by side, each from a thread of its own

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run (N, C, H, W) float32 and return only the outputs asked for, by name."""

    def close(self) -> None:
        """Free the network; further calls are errors."""


class Task(Protocol):
    """Network outputs -> predictions in source pixels, one fold per frame."""

    name: str
    wanted: Sequence[str]
    """Names of the network outputs that every part needs."""
    batched: bool
    """Whether the network takes several inputs at once; if not, a Part holds its outputs as they are."""

    def start(self, frame: Frame) -> Fold:
        """Plan the parts of a frame, and return the fold that takes them.

        Raises QuadratError if the frame cannot be planned, for instance because it takes too many tiles.
        """


class Fold(Protocol):
    """The parts of one frame -> its prediction. Folds of several frames may be open at the same time."""

    windows: tuple[Window | None, ...]
    """One entry per part, in pixels of the frame at working size; None is the whole frame."""

    def add(self, number: int, part: Part) -> None:
        """Add what the network gave for `windows[number]`; parts may come in any order, each exactly once.

        Raises EngineRunError for outputs that cannot be used, and ModelError if the network is at fault. A fold
        that has raised cannot be used any more.
        """

    def finish(self) -> Prediction:
        """Return the prediction. Raises QuadratError (E_INTERNAL) if a part is missing."""


class Reader(Protocol):
    """An open video, sequence or stream; iterate it once."""

    reading: Reading
    """What is known so far; complete once the frames have ended."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames taken, in order, upright and with their presentation times."""

    def close(self) -> None:
        """Stop, from any thread; the iteration ends soon, if it is under way."""


class Tracker(Protocol):
    """Link the detections of one source over time; make one tracker for each source."""

    needs_embeddings: bool
    """Whether `update` uses `embeddings`; if not, nobody needs to compute them."""

    def update(
        self, detections: Detections, embeddings: NDArray[np.float32] | None = None, steps: float = 1.0
    ) -> Tracked:
        """Track the N detections of the next frame, without modifying them.

        `embeddings` (N, D) float32 of length 1 describe what each object looks like; None if they are unknown.
        `steps` is the time since the previous frame, in usual frame intervals.
        """

    def reset(self) -> None:
        """Drop all tracks; numbers are never reused."""


Transform = Callable[[NDArray[Any], Geometry], tuple[NDArray[Any], Geometry]]
