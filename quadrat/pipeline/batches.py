"""Network inputs -> network outputs: neighbours of one shape share a batch, whatever frame or source they are of."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import EngineRunError
from quadrat.pipeline.events import Prepared, Ran, as_known
from quadrat.pipeline.loaded import LoadedModel
from quadrat.pipeline.workers import BusyClock, Workers
from quadrat.types import Flush, Part

BESIDE = 2
"""Frames that are not measured wait with a batch that is not full: at most so many for each of its inputs."""
WARM_UPS = 5
"""Extra runs of the first batch with the benchmark setting, as in the original service."""


class Batches:
    """The stage that runs the network, `size` inputs at once.

    Where the engine takes several runs side by side, so many batches are under way, each in a thread; what comes of
    them leaves in the order that they came in. `warm_up_s` seconds went into runs that do not count, `busy_s` are
    those in which a run that counts was under way.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._fixed = model.package.input_shape[0] if model.package.input_shape else None
        self.size = (self._fixed or model.settings.engine.batch_size) if model.task.batched else 1
        self.warm_up_s = 0.0
        self._clock = BusyClock()

    @property
    def busy_s(self) -> float:
        """Seconds with a run under way, be it one or several."""
        return self._clock.seconds

    def __call__(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield a Ran for every Prepared; all else keeps its place among them, and Flush ends here."""
        at_once = self._model.at_once
        under_way: deque[Future[list[Any]]] = deque()
        with Workers(self._run, at_once if at_once > 1 else 0) as workers:
            for waiting in self._grouped(items):
                if waiting:
                    self._warm_up(waiting)
                    under_way.append(workers.submit(waiting))
                while under_way and (waiting is None or len(under_way) > workers.count):
                    yield from under_way.popleft().result()

    def _grouped(self, items: Iterator[Any]) -> Iterator[list[Any] | None]:
        """Yield batches with what stands between their inputs, and None where nothing may be waited for."""
        waiting: list[Any] = []
        try:
            for item in items:
                if isinstance(item, Flush):
                    yield waiting
                    waiting = []
                    yield None
                    continue
                if isinstance(item, Prepared) and not _fits(item, waiting):
                    yield waiting
                    waiting = []
                waiting.append(item)
                inputs = sum(isinstance(w, Prepared) for w in waiting)
                if inputs in (0, self.size) or len(waiting) - inputs > BESIDE * self.size:
                    yield waiting
                    waiting = []
        except Exception:  # what came before it is answered before it is heard of
            yield waiting
            yield None
            raise
        yield waiting
        yield None

    def _run(self, waiting: Sequence[Any]) -> list[Any]:
        inputs = [w for w in waiting if isinstance(w, Prepared)]
        with self._clock:
            ran = iter(self._run_batch(inputs) if inputs else ())
        return [next(ran) if isinstance(item, Prepared) else item for item in waiting]

    def _run_batch(self, inputs: Sequence[Prepared]) -> list[Ran]:
        """Run one batch; where it fails whole (out of memory, say), each input alone."""
        try:
            with self._model.turns:
                arrays = self._model.engine.run(self._stack(inputs), self._model.task.wanted)
        except (EngineRunError, MemoryError) as error:
            if len(inputs) > 1:
                return [ran for one in inputs for ran in self._run_batch([one])]
            (one,) = inputs
            return [Ran(one.source, one.sample, as_known(error, one.source.name), fold=one.fold)]
        return [
            Ran(one.source, one.sample, self._part(one, arrays, index), fold=one.fold)
            for index, one in enumerate(inputs)
        ]

    def _stack(self, inputs: Sequence[Prepared]) -> NDArray[np.float32]:
        """Make one batch; a network of a fixed batch gets its last input again to fill it."""
        tensors = [one.sample.tensor for one in inputs]
        tensors += tensors[-1:] * ((self._fixed or 0) - len(tensors))
        return tensors[0][None] if len(tensors) == 1 else np.stack(tensors)

    def _part(self, one: Prepared, arrays: Any, index: int) -> Part:
        own = {name: a[index] for name, a in arrays.items()} if self._model.task.batched else arrays
        return Part(own, one.sample.geometry, one.sample.window)

    def _warm_up(self, waiting: Sequence[Any]) -> None:
        """Run the first batch a few times over, uncounted; a batch that fails fails again when it counts."""
        inputs = [w for w in waiting if isinstance(w, Prepared)]
        if not inputs or self.warm_up_s or not self._model.settings.order.benchmark:
            return
        begin = perf_counter()
        with suppress(EngineRunError, MemoryError), self._model.turns:
            for _ in range(WARM_UPS):
                self._model.engine.run(self._stack(inputs), self._model.task.wanted)
        self.warm_up_s = perf_counter() - begin


def _fits(one: Prepared, waiting: Sequence[Any]) -> bool:
    shapes = {w.sample.tensor.shape for w in waiting if isinstance(w, Prepared)}
    return shapes <= {one.sample.tensor.shape}
