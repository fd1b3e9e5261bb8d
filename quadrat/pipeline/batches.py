"""Network inputs -> network outputs. Consecutive inputs of one shape share a batch, whatever their frame or source."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.engines.host import HostedEngine
from quadrat.engines.limits import fits
from quadrat.errors import EngineMemoryError, EngineRunError, EngineTimeoutError, GraphError, QuadratError
from quadrat.pipeline.auto import AutoSize
from quadrat.pipeline.chain import Stage
from quadrat.pipeline.events import PartResult, PreparedPart, to_quadrat_error
from quadrat.pipeline.models import LoadedModel
from quadrat.pipeline.outputs import equal
from quadrat.pipeline.tune import LARGE_BYTES
from quadrat.pipeline.workers import BusyClock, Quiet, Workers
from quadrat.records import Tuning
from quadrat.types import Flush, Part

BESIDE = 2
"""The most other items that may wait for a batch to fill, for each input of a full batch."""
LEAST_S = 0.05
"""Seconds that a run has at least, if its frame has used up source-seconds."""
MOST_HELD = 64
"""The most items that wait while the first inputs are collected, on which values for auto are tried."""
WARM_UPS = 5
"""The extra runs of the first batch with the benchmark setting, as in the original service."""


class Batches:
    """The stage that runs the network of one model, on batches of `size` inputs.

    If the engine supports concurrent runs, several batches run at once, each in a thread; results keep the order of
    the inputs. `before` are the stages whose queues must hold a batch. With batch-size=auto or cpu-threads=auto, values are tried on the first inputs, with `quiet` while the other
    networks of the run wait. `warm_up_s` is the time in seconds of warm-up runs and trials, `busy_s` the time in which at least one other
    run was in progress.
    """

    def __init__(self, model: LoadedModel, quiet: Quiet | None = None) -> None:
        self.model = model
        self._fixed = model.package.input_shape[0] if model.package.input_shape else None
        self.size = (self._fixed or model.settings.engine.size) if model.task.batched else 1
        self.warm_up_s = 0.0
        self._lack: tuple[int, Exception] | None = None
        self._clock = BusyClock()
        self.before: Sequence[Stage] = ()
        self._auto = AutoSize(model, quiet or Quiet()) if model.settings.engine.tunes else None

    @property
    def tuning(self) -> Tuning | None:
        """What was chosen with batch-size=auto or cpu-threads=auto, once the first inputs have come."""
        return self._auto.tuning if self._auto is not None else None

    @property
    def busy_s(self) -> float:
        """Seconds in which at least one run was in progress, without warm-up runs."""
        return self._clock.seconds

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield a PartResult for every PreparedPart of this model, and all else in its place; Flush runs an incomplete batch."""
        at_once = self.model.at_once
        under_way: deque[Future[list[Any]]] = deque()
        with Workers(self._run, at_once if at_once > 1 else 0) as workers:
            for waiting in self._grouped(items if self._auto is None else self._tuned(items, self._auto)):
                if waiting:
                    self._warm_up(waiting)
                    under_way.append(workers.submit(waiting))
                most = 0 if waiting and self._is_large(waiting) else workers.count
                while under_way and (waiting is None or len(under_way) > most):
                    yield from under_way.popleft().result()

    def _tuned(self, items: Iterator[Any], auto: AutoSize) -> Iterator[Any]:
        """Yield all items; values are chosen before the first inputs are passed on."""
        held: list[Any] = []
        try:
            for item in items:
                held.append(item)
                if self._is_input(item):
                    auto.first.append(item.sample.tensor)
                if not auto.first:
                    yield held.pop()
                elif auto.is_ready or isinstance(item, Flush) or len(held) > MOST_HELD:
                    self.size = auto.choose()
                    self.warm_up_s += auto.seconds
                    for stage in self.before:
                        stage.ahead = max(stage.ahead, self.size)
                    break
        except Exception:  # the items before the error come first
            yield from held
            raise
        yield from held
        yield from items

    def _is_input(self, item: Any) -> bool:
        return isinstance(item, PreparedPart) and item.model == self.model.name

    def _is_large(self, waiting: Sequence[Any]) -> bool:
        size: int = sum(item.sample.tensor.nbytes for item in waiting if self._is_input(item))
        return size > LARGE_BYTES

    def _grouped(self, items: Iterator[Any]) -> Iterator[list[Any] | None]:
        """Yield batches with the items between their inputs, and None where all batches must be finished."""
        waiting: list[Any] = []
        inputs = 0
        try:
            for item in items:
                if isinstance(item, Flush):
                    yield [*waiting, item]
                    waiting, inputs = [], 0
                    yield None
                    continue
                if self._is_input(item) and not self._fits(item, waiting):
                    yield waiting
                    waiting, inputs = [], 0
                waiting.append(item)
                inputs += self._is_input(item)
                if not inputs or inputs >= self.size or len(waiting) - inputs > BESIDE * self.size:
                    yield waiting
                    waiting, inputs = [], 0
        except Exception:  # yield the results of the items before the error first
            yield waiting
            yield None
            raise
        yield waiting
        yield None

    def _run(self, waiting: Sequence[Any]) -> list[Any]:
        inputs = [item for item in waiting if self._is_input(item)]
        if self._auto is not None:
            self._auto.quiet.wait()
        with self._clock:
            ran = iter(self._run_batch(inputs) if inputs else ())
        return [next(ran) if self._is_input(item) else item for item in waiting]

    def _run_batch(self, inputs: Sequence[PreparedPart]) -> list[PartResult]:
        """Run one batch. If it fails, for instance for lack of memory, run each input alone."""
        if (
            self._auto is not None
            and self._auto.sizes
            and len(inputs) > 1
            and not self._auto.is_equal(inputs)
        ):
            return self._checked(inputs, self._auto)
        try:
            if (known := self._lacking(inputs[0])) is not None:
                raise known
            with self.model.turns:
                arrays = self._timed_run(inputs)
        except (EngineRunError, MemoryError) as error:
            if len(inputs) > 1:
                if self._auto is not None and self._auto.sizes and self._auto.is_short(error):
                    self.size = max(1, len(inputs) // 2)
                return [ran for one in inputs for ran in self._run_batch([one])]
            smaller = self._in_pieces(inputs[0], error)
            if smaller is None:
                return self._failed(inputs, error)
            return [PartResult(inputs[0].frame, inputs[0].model, inputs[0].number, smaller)]
        if wrong := self._wrong_shape(inputs, arrays):
            return self._failed(inputs, wrong)
        return [
            PartResult(one.frame, one.model, one.number, self._part(one, arrays, index))
            for index, one in enumerate(inputs)
        ]

    def _lacking(self, one: PreparedPart) -> Exception | None:
        """Return the error of an input no larger than this one that only fitted into memory in pieces, if there was one."""
        return self._lack[1] if self._lack and one.sample.tensor.size >= self._lack[0] else None

    def _in_pieces(self, one: PreparedPart, error: Exception) -> Part | None:
        """Run an input that does not fit into memory in pieces, if the task can; None if it cannot, or they do not fit."""
        in_pieces = getattr(self.model.task, "in_pieces", None)
        if in_pieces is None or not isinstance(error, EngineMemoryError | MemoryError):
            return None

        def run(tensor: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
            piece = replace(one, sample=replace(one.sample, tensor=tensor))
            with self.model.turns:
                arrays = self._timed_run([piece])
            return {name: array[0] for name, array in arrays.items()}

        with suppress(QuadratError, MemoryError):  # also what a piece shows to be wrong with the network
            arrays = in_pieces(one.sample.tensor, run, error)
            if (
                self._lacking(one) is None
            ):  # the next one is not tried whole: that may have ended the network's process
                self._lack = one.sample.tensor.size, error
            return Part(arrays, one.sample.geometry, one.sample.window)
        return None

    def _checked(self, inputs: Sequence[PreparedPart], auto: AutoSize) -> list[PartResult]:
        """Run each input alone. For the first batch of its kind, find out whether a batch would give the same."""
        alone = [ran for one in inputs for ran in self._run_batch([one])]
        if not auto.is_known(inputs):
            with suppress(EngineRunError, MemoryError), self.model.turns:
                arrays = self.model.engine.run(self._stack(inputs), self.model.task.wanted)
                same = self._wrong_shape(inputs, arrays) is None and all(
                    isinstance(ran.outcome, Part)
                    and equal(self._part(one, arrays, index).arrays, ran.outcome.arrays)
                    for index, (one, ran) in enumerate(zip(inputs, alone, strict=True))
                )
                auto.note(inputs, same=same)
        return alone

    def _timed_run(self, inputs: Sequence[PreparedPart]) -> Mapping[str, NDArray[Any]]:
        """Run the network, for no longer than the frames of the inputs have left of source-seconds."""
        batch, wanted = self._stack(inputs), self.model.task.wanted
        engine, limit = self.model.engine, self.model.settings.limits.source_seconds
        if limit is None or not isinstance(engine, HostedEngine):
            return engine.run(batch, wanted)
        frames = list({id(one.frame.account): one.frame.account for one in inputs}.values())
        left = max(limit - frame.spent_s for frame in frames)
        if left <= 0:  # a run would end the child, and count against the network
            raise EngineTimeoutError(
                f"running the network took more than {limit:,.0f} s",
                where=self.model.package.name, hint="Raise --source-seconds",
            )  # fmt: skip
        begin = perf_counter()
        try:
            return engine.run(batch, wanted, max(left, LEAST_S))
        finally:
            for frame in frames:
                frame.spent_s += (perf_counter() - begin) / len(frames)

    def _wrong_shape(
        self, inputs: Sequence[PreparedPart], arrays: Mapping[str, NDArray[Any]]
    ) -> GraphError | None:
        """Return an error if an output does not have one entry for each input."""
        if not self.model.task.batched:
            return None
        count = self._fixed or len(inputs)
        for name, array in arrays.items():
            if array.ndim < 1 or len(array) != count:
                return GraphError(
                    f"output {name!r} has the shape {array.shape} for a batch of {count}",
                    where=self.model.package.name, hint="Export the network again",
                )  # fmt: skip
        return None

    def _failed(self, inputs: Sequence[PreparedPart], error: Exception) -> list[PartResult]:
        return [
            PartResult(one.frame, one.model, one.number, to_quadrat_error(error, one.frame.state.source.name))
            for one in inputs
        ]

    def _stack(self, inputs: Sequence[PreparedPart]) -> NDArray[np.float32]:
        """Stack inputs into a batch; for a network with a fixed batch size, repeat the last input.

        Raises MemoryError if the batch does not fit into memory.
        """
        tensors = [one.sample.tensor for one in inputs]
        if not fits(tensors[0].nbytes * max(self._fixed or 0, len(tensors))):
            raise MemoryError
        tensors += tensors[-1:] * ((self._fixed or 0) - len(tensors))
        return tensors[0][None] if len(tensors) == 1 else np.stack(tensors)

    def _part(self, one: PreparedPart, arrays: Any, index: int) -> Part:
        own = {name: a[index] for name, a in arrays.items()} if self.model.task.batched else arrays
        return Part(own, one.sample.geometry, one.sample.window)

    def _warm_up(self, waiting: Sequence[Any]) -> None:
        """Run the first batch a few times without counting it. Ignore errors: the counted run raises them again."""
        inputs = [item for item in waiting if self._is_input(item)]
        if not inputs or self.warm_up_s or not self.model.settings.order.benchmark:
            return
        begin = perf_counter()
        with suppress(EngineRunError, MemoryError), self.model.turns:
            for _ in range(WARM_UPS):
                self.model.engine.run(self._stack(inputs), self.model.task.wanted)
        self.warm_up_s = perf_counter() - begin

    def _fits(self, one: PreparedPart, waiting: Sequence[Any]) -> bool:
        shapes = {item.sample.tensor.shape for item in waiting if self._is_input(item)}
        return shapes <= {one.sample.tensor.shape}
