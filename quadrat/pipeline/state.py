"""The state of one open source: everything that the stages know of it, and the one way to end it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from quadrat.errors import QuadratError
from quadrat.types import Closing, Failure, Reading, Source, SourceClosed


class OpenReader(Protocol):
    """Whatever reads a source; `reading` is what is known of it by now."""

    reading: Reading


@dataclass(slots=True)
class ModelState:
    """What one model has done with an open source.

    `failed` is the error of the first frame that could not be measured, and `stage` where it arose; `incomplete`
    says why the first prediction that is not the whole truth is not; `undrawn` why there is no annotated video.
    `trail` belongs to the stage that tracks, `writer` to the one that encodes.
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

        An incomplete prediction comes first, because it makes counts untrue and shows nowhere else. Failed frames
        also show in the numbers of frames.
        """
        every = (self.incomplete, *others, self.failed, self.undrawn)
        return tuple(error for error in every if error is not None)

    def closing(self, *others: QuadratError | None) -> Closing:
        """Sum up; `others` are the errors of reading."""
        return Closing(self.measured, dict(self.skipped), self.faults(*others), self.video)


@dataclass(slots=True, eq=False)
class SourceState:
    """One open source. Every item of the pipeline carries it, so no stage looks a source up by name.

    `idle_until` (seconds) and `under_way` belong to the filter of frames; each stage touches only its own part.
    """

    source: Source
    models: dict[str, ModelState]
    reader: OpenReader | None = None
    error: QuadratError | None = None
    idle_until: float = -1.0
    under_way: int = 0

    @classmethod
    def of(cls, source: Source, models: tuple[str, ...]) -> SourceState:
        """Make the state of a source that is measured by these models."""
        return cls(source, {name: ModelState() for name in models})

    @property
    def has_failed(self) -> bool:
        """True if no model has measured a frame, and one has failed on a frame."""
        states = self.models.values()
        return not any(each.measured for each in states) and any(each.failed for each in states)

    def close(self, cut: QuadratError | None = None) -> SourceClosed | Failure:
        """End the source; `cut` says why the run ended before it, if it did.

        A source of which frames were read and none could be measured has failed. One that the run cut short has
        not: it may have been measured later.
        """
        if self.has_failed and cut is None:
            first = next(each for each in self.models.values() if each.failed is not None)
            return Failure(self.source, first.stage, first.failed or QuadratError("no frame was measured"))
        reading = self.reader.reading if self.reader is not None else Reading(hw=(0, 0))
        error = self.error or reading.error
        closings = {name: each.closing(cut, error) for name, each in self.models.items()}
        return SourceClosed(self.source, reading, closings)
