"""The items that pass between the stages of a run, and how stages report errors."""

from __future__ import annotations

from dataclasses import dataclass, field

from quadrat.errors import EngineRunError, InputError, QuadratError, SourceError
from quadrat.geometry import Window
from quadrat.pipeline.state import SourceState
from quadrat.predictions import ObjectResult
from quadrat.protocols import Fold
from quadrat.types import Frame, Part, Result, Sample

FRAME_ERRORS = (EngineRunError, InputError, MemoryError)
"""Errors that concern one frame or object. Any other error is a fault of the model and ends the run."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceStart:
    """A video, sequence or stream is open; its frames follow."""

    state: SourceState


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """A frame that was read; `frame.skipped` is the reason if it is not to be measured."""

    state: SourceState
    frame: Frame


@dataclass(frozen=True, slots=True, eq=False)
class SourceEnd:
    """A video, sequence or stream has no more frames; `error` is set if it could not be read at all."""

    state: SourceState
    error: QuadratError | None = None


@dataclass(slots=True, eq=False)
class OpenFrame:
    """A frame that is being measured: the fold of each model, and the number of parts still to come.

    `views` are the frames of models that measure at another size than was read; `errors` holds, by model name, the
    error of a model without a prediction and the stage that it occurred in. `spent_s` are the seconds that networks
    have taken for it.
    """

    state: SourceState
    frame: Frame
    waiting: int = 0
    folds: dict[str, Fold] = field(default_factory=dict)
    views: dict[str, Frame] = field(default_factory=dict)
    errors: dict[str, tuple[QuadratError, str]] = field(default_factory=dict)
    spent_s: float = 0.0

    @property
    def account(self) -> OpenFrame | OpenObjects:
        """What the time of networks is added to."""
        return self


@dataclass(slots=True, eq=False)
class OpenObjects:
    """A frame whose objects a model is measuring: the results and reasons by row, and the objects still to come.

    `errors` are those of the objects that could not be measured. `spent_s` are the seconds that the network has taken
    for all of them.
    """

    measured: MeasuredFrame
    results: list[ObjectResult | None]
    reasons: list[str]
    waiting: int = 0
    errors: list[QuadratError] = field(default_factory=list)
    spent_s: float = 0.0


@dataclass(slots=True, eq=False)
class OpenCrop(OpenFrame):
    """One object that is being measured, as a frame of its own: row `row` of `owner`, cut out at `window`."""

    owner: OpenObjects = field(kw_only=True)
    row: int = field(kw_only=True)
    window: Window = field(kw_only=True)

    @property
    def account(self) -> OpenObjects:
        """The objects of a frame share its time."""
        return self.owner


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPart:
    """One network input: part `number` of a frame, for one model."""

    frame: OpenFrame
    model: str
    number: int
    sample: Sample


@dataclass(frozen=True, slots=True, eq=False)
class PartResult:
    """The network's outputs for one part, or an error and the stage that it occurred in."""

    frame: OpenFrame
    model: str
    number: int
    outcome: Part | QuadratError
    stage: str = "infer"


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredFrame:
    """A frame with its predictions, or one that was skipped."""

    state: SourceState
    result: Result


def located(error: QuadratError, name: str) -> QuadratError:
    """Return the error with the name of its source."""
    if error.where == name or error.where.startswith(f"{name} ("):
        return error
    where = f"{name} ({error.where})" if error.where else name
    return error.at(where)


def to_quadrat_error(error: object, name: str) -> QuadratError:
    """Turn any exception of a source into an error that users can read."""
    if isinstance(error, QuadratError):
        return located(error, name)
    if isinstance(error, MemoryError):
        return EngineRunError("there is not enough memory", where=name)
    if isinstance(error, OSError) and error.strerror:
        return SourceError(f"the file cannot be read ({error.strerror})", where=name, hint="Check its disk")
    text = f": {error}" if str(error) else ""
    return QuadratError(f"unexpected {type(error).__name__}{text}", where=name, hint="Please report this")
