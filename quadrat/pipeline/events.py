"""What travels between the stages of one run, beside Begun, Result, Ended, Failure and Flush."""

from __future__ import annotations

from dataclasses import dataclass

from quadrat.errors import EngineRunError, QuadratError, SourceError
from quadrat.protocols import Fold
from quadrat.types import Frame, Part, Sample, Source


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A frame that was read; `frame.skipped` says why it is not to be measured, if so."""

    source: Source
    frame: Frame


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One network input of a frame of `source`."""

    source: Source
    sample: Sample
    fold: Fold | None = None
    """The fold that takes what the network gives for it."""


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """What the network gave for one input, or why it gave nothing and in which stage that was."""

    source: Source
    sample: Sample
    outcome: Part | QuadratError
    stage: str = "infer"
    fold: Fold | None = None
    """The fold of the frame; None if its parts could not be planned."""


def located(error: QuadratError, name: str) -> QuadratError:
    """The same error, saying which image it is about."""
    where = f"{name} ({error.where})" if error.where and error.where != name else name
    return error.at(where)


def both(first: QuadratError | None, second: QuadratError | None) -> QuadratError | None:
    """Join two reasons into one error of the first one's kind, which names the second one's code beside it."""
    if first is None or second is None:
        return first or second
    where = f" {second.where}:" if second.where not in ("", first.where) else ""
    hints = dict.fromkeys(hint for hint in (first.hint, second.hint) if hint)
    what = f"{first.what}; {second.code}{where} {second.what}"
    return type(first)(what, where=first.where, hint=". ".join(hints))


def as_known(error: object, name: str) -> QuadratError:
    """Turn whatever one image or video raised into an error that a person can read."""
    if isinstance(error, QuadratError):
        return located(error, name)
    if isinstance(error, MemoryError):
        return EngineRunError("there is not enough memory", where=name)
    if isinstance(error, OSError) and error.strerror:
        return SourceError(f"the file cannot be read ({error.strerror})", where=name, hint="Check its disk")
    said = f": {error}" if str(error) else ""
    return QuadratError(f"unexpected {type(error).__name__}{said}", where=name, hint="Please report this")
