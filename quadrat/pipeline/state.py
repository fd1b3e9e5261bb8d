"""The state of one open source: everything that the stages know about it, and the only way to close it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from quadrat.errors import QuadratError, distinct
from quadrat.types import Closing, Failure, Reading, Source, SourceClosed


class OpenReader(Protocol):
    """Reads a source; `reading` is what is known about it so far."""

    reading: Reading


@dataclass(slots=True)
class ModelState:
    """The state of one model for an open source.

    `failed` is the error of the first frame that could not be measured, and `stage` is where it occurred;
    `incomplete` is the error of the first incomplete prediction; `undrawn` is the reason why there is no annotated
    video. `trail` belongs to the track stage, or to the finer stage for a model about objects; `writer` to the encode stage.
    """

    measured: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    failed: QuadratError | None = None
    stage: str = "infer"
    incomplete: QuadratError | None = None
    undrawn: QuadratError | None = None
    video: Path | None = None
    writer: Any = None
    trail: Any = None

    def faults(self, *others: QuadratError | None) -> tuple[QuadratError, ...]:
        """List all errors in order of importance; `others` are those of reading.

        An incomplete prediction comes first, because it makes counts wrong and is visible nowhere else. Failed
        frames are also visible in the numbers of frames.
        """
        every = (self.incomplete, *others, self.failed, self.undrawn)
        return tuple(error for error in every if error is not None)

    def closing(self, *others: QuadratError | None) -> Closing:
        """Return how the source ended for this model; `others` are the errors of reading."""
        return Closing(self.measured, dict(self.skipped), self.faults(*others), self.video)


@dataclass(slots=True, eq=False)
class SourceState:
    """The state of one open source. Every item of the pipeline holds it, so no stage looks up a source by name.

    `idle_until` (seconds) and `under_way` (frames that are being measured) belong to the frame filter; each stage
    changes only its own fields. `joined` has the writer, video and error of the video that all models share.
    """

    source: Source
    models: dict[str, ModelState]
    reader: OpenReader | None = None
    error: QuadratError | None = None
    idle_until: float = -1.0
    under_way: int = 0
    joined: ModelState = field(default_factory=ModelState)

    @property
    def drawings(self) -> tuple[ModelState, ...]:
        """What can have an annotated video: each model, and all of them joined."""
        return (*self.models.values(), self.joined)

    @classmethod
    def of(cls, source: Source, models: tuple[str, ...]) -> SourceState:
        """Return the state of a source that these models measure."""
        return cls(source, {name: ModelState() for name in models})

    @property
    def has_failed(self) -> bool:
        """True if no model has measured a frame, and at least one has failed on a frame."""
        states = self.models.values()
        return not any(each.measured for each in states) and any(each.failed for each in states)

    def close(self, cut: QuadratError | None = None) -> SourceClosed | Failure:
        """Close the source; `cut` is the reason if the run ended first.

        A source has failed if frames were read and none could be measured. If the run ended first, it has not
        failed, because later frames might have been measured.
        """
        reading = self.reader.reading if self.reader is not None else Reading(hw=(0, 0))
        error = self.error or reading.error
        failed = [(each.failed, each.stage) for each in self.models.values() if each.failed is not None]
        if self.has_failed and cut is None:
            read = (error,) if error is not None else ()
            first, *others = distinct([*(each for each, _ in failed), *read])
            return Failure(self.source, failed[0][1], first, tuple(others))
        closings = {name: each.closing(cut, error) for name, each in self.models.items()}
        return SourceClosed(self.source, reading, closings, self.joined.closing())
