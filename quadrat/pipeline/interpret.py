"""Network outputs -> predictions: all parts of a frame become one, and a frame that fails is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from quadrat.errors import EngineRunError, InputError, QuadratError, TooManyObjectsError
from quadrat.pipeline.events import Ran, as_known, both
from quadrat.pipeline.prepare import Gate
from quadrat.protocols import Fold, Task
from quadrat.types import Detections, Ended, Failure, Part, Prediction, Result, Source


@dataclass(slots=True)
class _Account:
    """Frames of one source under way: `error` of the first that failed, `capped` of the first with too many objects."""

    measured: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    error: QuadratError | None = None
    capped: QuadratError | None = None

    def fault(self, error: QuadratError | None) -> QuadratError | None:
        """Join what is wrong with the frames to the `error` of their reading.

        Of several reasons the one that makes counts untrue comes first and gives its code: others are seen in
        the numbers of frames, too, and this one nowhere else.
        """
        return both(self.capped, both(error, self.error))


class Interpreter:
    """The stage that gives outputs their meaning."""

    def __init__(self, task: Task, gate: Gate) -> None:
        self._task = task
        self._gate = gate
        self._accounts: dict[str, _Account] = {}

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield a Result for every frame; a picture that fails is a Failure, a video goes on without the frame.

        A fault of the model is raised.
        """
        for item in items:
            if isinstance(item, Ran):
                yield self._measure(item, items)
            elif isinstance(item, Result):
                self._account(item.source).skipped[item.frame.skipped] += 1
                yield item
            elif isinstance(item, Ended):
                yield self._end(item)
            else:
                if isinstance(item, Failure):
                    self._close(item.source)
                yield item

    def _measure(self, first: Ran, items: Iterator[Any]) -> Result | Failure:
        source, frame = first.source, first.sample.frame
        parts = _Parts(first, items)
        prediction, error = None, None
        try:
            prediction = _fold(first.fold, parts)
        except Exception as raised:
            if parts.broken is not None:
                raise parts.broken from None  # not the picture's fault, and not the end of them all
            if parts.failed is None and not isinstance(raised, EngineRunError | InputError | MemoryError):
                raise
            error = parts.failed.outcome if parts.failed else as_known(raised, source.name)
        parts.drain()
        self._gate.saw(frame, prediction)
        if prediction is not None:
            return self._result(source, first, prediction)
        known = as_known(error or EngineRunError("the task gave nothing"), source.name)
        if source.media == "image":
            return Failure(source, parts.failed.stage if parts.failed else "task", known)
        account = self._account(source)
        account.skipped["failed"] += 1
        account.error = account.error or known
        return Result(source, replace(frame, skipped="failed"), {})

    def _result(self, source: Source, first: Ran, prediction: Prediction) -> Result:
        if source.media != "image":
            account = self._account(source)
            account.measured += 1
            if isinstance(prediction, Detections) and prediction.capped and account.capped is None:
                account.capped = TooManyObjectsError.capped(len(prediction), source.name)
        return Result(source, first.sample.frame, {self._task.name: prediction})

    def _account(self, source: Source) -> _Account:
        return self._accounts.setdefault(source.urn, _Account())

    def _close(self, source: Source) -> _Account:
        self._gate.forget(source.urn)
        return self._accounts.pop(source.urn, _Account())

    def skipped(self, source: Source) -> dict[str, int]:
        """Count the frames of a source under way that were not measured, by reason."""
        return dict(self._account(source).skipped)

    def fault(self, source: Source, error: QuadratError) -> QuadratError | None:
        """Join what is wrong with the frames of a source under way to the `error` that cut it short."""
        return self._account(source).fault(error)

    def _end(self, ended: Ended) -> Ended | Failure:
        """Say how many frames were skipped and why, and all that is wrong.

        A video of which no frame could be measured has failed.
        """
        account = self._close(ended.source)
        if account.error is not None and not account.measured:
            return Failure(ended.source, "infer", account.error)
        reading = replace(ended.reading, error=account.fault(ended.reading.error))
        return replace(ended, reading=reading, skipped=dict(account.skipped))


def _fold(fold: Fold | None, parts: _Parts) -> Prediction:
    """Add the parts of one frame to its fold, in order; there is none only if the first part is an error."""
    for number, part in enumerate(parts):
        if fold is not None:
            fold.add(number, part)
    if fold is None:
        raise EngineRunError("the frame has no fold")
    return fold.finish()


class _Parts:
    """The parts of one frame as the network gives them; all of them are taken off the stream in any case.

    `failed` is the part that has none, `broken` what the stages before raised in place of the next one.
    """

    def __init__(self, first: Ran, items: Iterator[Any]) -> None:
        self._ran = chain([first], islice(items, first.sample.parts - 1))
        self.failed: Ran | None = None
        self.broken: Exception | None = None

    def __iter__(self) -> Iterator[Part]:
        while True:
            try:
                ran = next(self._ran, None)
            except Exception as error:
                self.broken = error
                raise
            if ran is None:
                return
            if not isinstance(ran.outcome, Part):
                self.failed = ran
                raise ran.outcome
            yield ran.outcome

    def drain(self) -> None:
        """Take what is left."""
        for _ in self._ran:
            pass
