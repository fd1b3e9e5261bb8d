"""The state of batch-size=auto and cpu-threads=auto in one run: the first inputs, the choice, and which batches are safe."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import EngineMemoryError
from quadrat.parameters.declare import AUTO
from quadrat.pipeline.events import PreparedPart
from quadrat.pipeline.models import LoadedModel
from quadrat.pipeline.tune import Tuner
from quadrat.pipeline.workers import Quiet
from quadrat.records import Tuning

TRIED = 4
"""The number of first inputs on which values are tried; an order with fewer is not worth it."""

LOG = logging.getLogger("quadrat")
Kind = tuple[int, ...]


class AutoSize:
    """Chooses the batch size for a model, and knows which batches give what their inputs give alone.

    `sizes` is True if the batch size is to be chosen, and not only the threads. A batch of another size or shape than those that were compared runs input by input the first time, and is compared then.
    """

    def __init__(self, model: LoadedModel, quiet: Quiet) -> None:
        self.quiet = quiet
        self.first: list[NDArray[np.float32]] = []
        self.tuning: Tuning | None = None
        self.seconds = 0.0
        fixed = model.package.input_shape[0] if model.package.input_shape else None
        self.sizes = model.settings.engine.batch_size == AUTO and model.task.batched and not fixed
        self._model = model
        self._equal: dict[Kind, bool] = {}

    @property
    def is_ready(self) -> bool:
        """True if there are enough inputs of one shape."""
        return len(self.first) >= TRIED or self.first[-1].shape != self.first[0].shape

    def choose(self) -> int:
        """Choose values from the first inputs, load the network with the threads, and return the batch size."""
        shape = tuple(self.first[0].shape)
        tensors = [each for each in self.first if each.shape == shape]
        tuned = self._model.tuned
        with self.quiet.alone(), tuned.lock:
            known = tuned.by_shape.get(shape)
            own = known is None  # else the batches of the trials had the inputs of another run or variant
            if known is None:
                with self._turns():
                    known = tuned.by_shape[shape] = Tuner(self._model, tensors).tune()
                self._log(known)
                self.seconds = known.seconds * (not known.remembered)
            if tuned.threads not in (
                None,
                known.cpu_threads,
            ):  # chosen since then, for inputs of another shape
                known = replace(known, cpu_threads=tuned.threads or known.cpu_threads)
            self.tuning = replace(known, model=self._model.name)
        if own and not known.remembered:
            self._equal |= {
                (each.batch_size, *shape): each.outcome == "ok"
                for each in known.trials
                if each.cpu_threads == known.cpu_threads
                and (
                    each.outcome == "other values"
                    or (each.outcome == "ok" and _differ(tensors[: each.batch_size]))
                )
            }
        self.first.clear()
        return known.batch_size

    def is_equal(self, inputs: Sequence[PreparedPart]) -> bool:
        """Return True if a batch like this one is known to give what its inputs give alone."""
        return self._equal.get(_kind(inputs), False)

    def is_known(self, inputs: Sequence[PreparedPart]) -> bool:
        """Return True if a batch like this one was compared with its inputs alone."""
        return _kind(inputs) in self._equal

    def note(self, inputs: Sequence[PreparedPart], *, same: bool) -> None:
        """Note whether a batch gives what its inputs give alone; inputs that are all equal prove nothing.

        A network that mixes the inputs of a batch changes nothing if they are equal, as those of black frames are.
        """
        if same and not _differ([each.sample.tensor for each in inputs]):
            return
        kind = _kind(inputs)
        self._equal[kind] = same
        if not same:
            LOG.info(
                "%s: batches of %d inputs of %s give other values than their inputs alone, and are not used",
                self._model.name, kind[0], " x ".join(map(str, kind[1:])),
            )  # fmt: skip

    def is_short(self, error: Exception) -> bool:
        """Return True, and log it, if a batch failed for lack of memory, so that smaller ones are better."""
        short = isinstance(error, EngineMemoryError | MemoryError)
        if short:
            LOG.info("%s: batch-size auto goes back to half the size, for lack of memory", self._model.name)
        return short

    @contextmanager
    def _turns(self) -> Iterator[None]:
        """Hold all turns of the engine, so that nothing else runs it."""
        with ExitStack() as stack:
            for _ in range(self._model.at_once):
                stack.enter_context(self._model.turns)
            yield

    def _log(self, tuning: Tuning) -> None:
        """Log what was chosen, and what was tried."""
        name, chosen = self._model.name, f"batch-size {tuning.batch_size}, cpu-threads {tuning.cpu_threads}"
        if tuning.remembered:
            LOG.info("%s: auto uses %s, as found on %s", name, chosen, tuning.found)
            return
        for each in tuning.trials:
            rate = f"{each.rate:.1f} inputs/s" if each.rate else ""
            LOG.info(
                "%s: auto tried batch-size %d, cpu-threads %d: %s",
                name, each.batch_size, each.cpu_threads, rate if each.outcome == "ok" else each.outcome,
            )  # fmt: skip
        LOG.info("%s: auto chose %s in %.1f s", name, chosen, tuning.seconds)


def _differ(tensors: Sequence[NDArray[np.float32]]) -> bool:
    """Return True if the tensors are not all equal."""
    return any(not np.array_equal(tensors[0], each) for each in tensors[1:])


def _kind(inputs: Sequence[PreparedPart]) -> Kind:
    return (len(inputs), *inputs[0].sample.tensor.shape)
