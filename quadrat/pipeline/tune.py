"""Try batch sizes and numbers of threads on the first inputs of an order, and choose the fastest.

Sizes are doubled, threads are doubled and halved from the usual number. A pair of values can be chosen only if it gave,
bit for bit, the outputs that the network gives with the values that auto starts from. Trying ends early if time or memory
would not suffice, or if larger values are clearly slower.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.engines.common import thread_count, usable_cores
from quadrat.engines.host import HostedEngine
from quadrat.engines.limits import free_memory, resident
from quadrat.errors import EngineMemoryError, EngineRunError, QuadratError
from quadrat.parameters.declare import AUTO
from quadrat.pipeline.models import LoadedModel
from quadrat.pipeline.outputs import Arrays, equal
from quadrat.pipeline.tuned import Choices, machine
from quadrat.pipeline.workers import Workers
from quadrat.records import Trial, Tuning

SIZES = (1, 2, 4, 8, 16, 32, 64)
"""The batch sizes that are tried."""
RUNS = 3
"""The fewest timed runs of each pair of values; the fastest counts, because others only add to its time."""
RUN_S = 0.3
"""Seconds for the timed runs of a pair of values, if they are short."""
FINAL_SHARE, MOST_ROUNDS = 0.3, 20
"""The share of the time, and the most rounds, in which the best pairs are timed again, in turn: a busy moment of the
machine then hits all of them."""
CLOSE = 0.5
"""Pairs with at least this share of the best rate are timed again, unless one of their runs takes LONG of the time for it."""
LONG = 0.1
AS_GOOD = 0.97
"""The smallest size with at least this share of the best rate is chosen, because it needs the least memory."""
SLOWER = 0.9
"""Two values in a row below this share of the best rate end the search in their direction."""
COPIES = 2
"""Copies of a batch beside the one that the network gets."""
HELD_BYTES = 100_000_000
"""Memory that a network may go on holding for batches that were tried and not chosen."""
MEMORY_SHARE = 0.5
"""The share of the free memory that a batch may take while sizes are tried."""

LARGE_BYTES = 64_000_000
"""Batches of more bytes run one after the other: a network needs many times the memory of its input."""

LOG = logging.getLogger("quadrat")


class Tuner:
    """Tries values for one loaded model on the tensors (C, H, W) of its first inputs, all of one shape.

    The caller makes sure that nothing else runs the network. Afterwards the network has the chosen number of threads.
    """

    def __init__(
        self,
        model: LoadedModel,
        tensors: Sequence[NDArray[np.float32]],
        choices: Choices | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._model, self._tensors, self._clock = model, tensors, clock
        self._choices = Choices.usual() if choices is None else choices
        self._settings = model.settings.engine
        self._base = thread_count(self._settings.threads)
        self._least = self._least_size()
        self._begin, self._free = clock(), free_memory()
        self._held = self._resident()
        self._trials: dict[tuple[int, int], Trial] = {}
        self._reference: list[Arrays] = []
        self._loads, self._load_s = 0, 0.0

    def tune(self) -> Tuning:
        """Return the choice for these inputs: a remembered one, or the best of those that are tried now."""
        parts = self._parts()
        remembered = self._choices.find(parts)
        try:
            self._set_threads(self._base)
            self._reference = self._references()
            if remembered is not None and self._holds(remembered):
                return replace(remembered, model=self._model.name)
            if remembered is not None:
                self._choices.forget(parts)
                self._set_threads(self._base)
            self._try_all()
            tuning = self._best()
            self._set_threads(tuning.cpu_threads)
            self._release(tuning)
        except (QuadratError, MemoryError) as error:  # the counted run raises it again
            LOG.info("%s: values for auto could not be tried: %s", self._model.name, error)
            with suppress(QuadratError):
                self._set_threads(self._base)
            return self._chosen(self._base, self._least)
        tuning = replace(tuning, seconds=round(self._clock() - self._begin, 3), loads=self._loads)
        self._choices.keep(parts, tuning)
        return tuning

    def _least_size(self) -> int:
        """Return the batch size that auto starts from, and that the outputs are compared with."""
        if not self._model.task.batched:
            return 1
        shape = self._model.package.input_shape
        return (shape[0] if shape else None) or self._settings.size

    def _sizes(self) -> list[int]:
        shape = self._model.package.input_shape
        free = self._model.task.batched and not (shape and shape[0])
        return list(SIZES) if free and self._settings.batch_size == AUTO else [self._least]

    def _threads(self) -> tuple[list[int], list[int]]:
        """Return the numbers of threads above and below the usual one, in the order in which they are tried."""
        able = hasattr(self._model.engine, "set_threads") and self._settings.device == "cpu"
        if self._settings.cpu_threads != AUTO or not able:
            return [], []
        cores, powers = usable_cores(), [1 << n for n in range(13)]
        counts = sorted({each for each in powers if each <= cores} | {cores})
        counts = [each for each in counts if each >= self._model.at_once]
        return [n for n in counts if n > self._base], [n for n in reversed(counts) if n < self._base]

    def _try_all(self) -> None:
        """Try sizes with the usual threads, then threads with the best size, then the sizes beside it."""
        self._try_sizes(self._base, self._sizes())
        if not self._ok():
            return
        for direction in self._threads():
            self._try_threads(direction, self._best().batch_size)
        best = self._best()
        if best.cpu_threads != self._base and len(self._sizes()) > 1:
            self._set_threads(best.cpu_threads)
            beside = [n for n in (best.batch_size // 2, best.batch_size * 2) if n in SIZES]
            self._try_sizes(best.cpu_threads, beside)
        self._try_best_again()

    def _try_sizes(self, threads: int, sizes: Sequence[int]) -> None:
        slower = 0
        for size in sizes:
            trial = self._try(threads, size)
            rate, best = trial.rate or 0.0, max((each.rate or 0.0 for each in self._ok()), default=0.0)
            slower = slower + 1 if trial.outcome == "ok" and rate < SLOWER * best else 0
            if slower == 2 or trial.outcome not in ("ok", "other values"):
                return

    def _try_threads(self, counts: Sequence[int], size: int) -> None:
        slower = 0
        for count in counts:
            if self._load_s + self._seconds(count, size) > self._left():
                self._trials[count, size] = Trial(count, size, "no time")
                return
            try:
                self._set_threads(count)
            except EngineRunError:
                self._trials[count, size] = Trial(count, size, "failed")
                return
            trial = self._try(count, size)
            best = max(each.rate or 0.0 for each in self._ok())
            slower = slower + 1 if (trial.rate or 0.0) < SLOWER * best else 0
            if slower == 2:
                return

    def _try_best_again(self) -> None:
        """Time the best pairs of values again, in turn, as long as FINAL_SHARE of the time allows."""
        rate = max(each.rate or 0.0 for each in self._ok())
        most = FINAL_SHARE * self._settings.tuning_seconds
        again = sorted(
            (each.cpu_threads, each.batch_size)
            for each in self._ok()
            if (each.rate or 0.0) == rate
            or ((each.rate or 0.0) >= CLOSE * rate and (each.seconds or 0.0) <= LONG * most)
        )
        begin = self._clock()
        rounds = 0
        while len(again) > 1 and rounds < MOST_ROUNDS:
            spent = self._clock() - begin
            if rounds and spent * (rounds + 1) / rounds > most:
                return
            rounds += 1
            for threads, size in again:
                loads = self._loads
                if self._load_s + self._seconds(threads, size) > self._left():
                    return
                self._set_threads(threads)
                batch = self._batch(size)
                if loads != self._loads:
                    self._wave(batch)  # the first run of a size prepares the network for it
                for _ in range(RUNS):
                    self._count(self._trials[threads, size], self._wave(batch)[0])

    def _try(self, threads: int, size: int) -> Trial:
        """Try one pair of values, with which the network is loaded."""
        trial = Trial(threads, size, "ok")
        if self._memory_for(threads, size) is False:
            trial = replace(trial, outcome="no memory")
        elif self._seconds(threads, size) > self._left() and self._trials:
            trial = replace(trial, outcome="no time")
        else:
            trial = self._measure(trial)
        self._trials[threads, size] = trial
        return trial

    def _measure(self, trial: Trial) -> Trial:
        """Run the network with a pair of values: compare its outputs, then time it."""
        try:
            batch = self._batch(trial.batch_size)
            _, found = self._wave(batch)
            if not all(self._is_same(arrays, trial.batch_size) for arrays in found):
                return replace(trial, outcome="other values", memory=self._grown())
            begin = self._clock()
            while trial.runs < RUNS or self._clock() - begin < RUN_S:
                if trial.runs and (trial.seconds or 0.0) > self._left():
                    break
                trial = self._count(trial, self._wave(batch)[0])
            return replace(trial, memory=self._grown())
        except (EngineRunError, MemoryError) as error:
            out = isinstance(error, EngineMemoryError | MemoryError) or "SIGKILL" in str(error)
            return replace(trial, outcome="no memory" if out else "failed", seconds=None, rate=None)

    def _count(self, trial: Trial, seconds: float) -> Trial:
        """Add a timed run."""
        fastest = min(seconds, trial.seconds or seconds)
        rate = trial.batch_size * self._at_once(trial.batch_size) / max(fastest, 1e-9)
        trial = replace(trial, runs=trial.runs + 1, seconds=fastest, rate=rate)
        self._trials[trial.cpu_threads, trial.batch_size] = trial
        return trial

    def _wave(self, batch: NDArray[np.float32]) -> tuple[float, list[Arrays]]:
        """Run a batch as often at once as the engine can, and return the seconds and the outputs."""
        others = self._at_once(len(batch)) - 1
        begin = self._clock()
        with Workers(self._run, others) as workers:
            futures = [workers.submit(batch) for _ in range(workers.count)]
            found = [self._run(batch)]
            found += [future.result() for future in futures]
        return self._clock() - begin, found

    def _run(self, batch: NDArray[np.float32]) -> Arrays:
        return self._model.engine.run(batch, self._model.task.wanted)

    def _at_once(self, size: int) -> int:
        """Return how many batches of a size run at once in an order."""
        return 1 if size * self._tensors[0].nbytes > LARGE_BYTES else self._model.at_once

    def _batch(self, size: int, first: int = 0) -> NDArray[np.float32]:
        """Stack inputs in turn, from number `first` on."""
        return np.stack([self._tensors[(first + n) % len(self._tensors)] for n in range(size)])

    def _references(self) -> list[Arrays]:
        """Return the outputs for each input with the values that auto starts from."""
        found: list[Arrays] = []
        for first in range(0, len(self._tensors), self._least):
            arrays = self._run(self._batch(self._least, first))
            found += [self._own(arrays, n) for n in range(self._least)]
        return found[: len(self._tensors)]

    def _own(self, arrays: Arrays, number: int) -> Arrays:
        return {name: a[number] for name, a in arrays.items()} if self._model.task.batched else arrays

    def _is_same(self, arrays: Arrays, size: int) -> bool:
        """Return True if the outputs of a batch are those of its inputs, bit for bit."""
        if self._model.task.batched and any(a.ndim < 1 or len(a) != size for a in arrays.values()):
            return False
        return all(equal(self._own(arrays, n), self._reference[n % len(self._tensors)]) for n in range(size))

    def _holds(self, tuning: Tuning) -> bool:
        """Load the network as remembered, and return True if it still gives the same outputs."""
        if tuning.batch_size not in self._sizes():
            return False
        if tuning.cpu_threads not in (self._base, *self._threads()[0], *self._threads()[1]):
            return False
        batch = self._batch(tuning.batch_size)
        try:
            self._set_threads(tuning.cpu_threads)
            arrays = self._run(batch)
        except (EngineRunError, MemoryError):
            return False
        return self._is_same(arrays, tuning.batch_size)

    def _set_threads(self, count: int) -> None:
        """Load the network with a number of threads, unless it has them already."""
        tuned = self._model.tuned
        if (tuned.threads or self._base) == count:
            return
        begin = self._clock()
        try:
            self._model.engine.set_threads(count)  # type: ignore[attr-defined]  # _threads has asked for it
        except QuadratError:
            tuned.threads = -1
            if count == self._base:
                raise
            self._set_threads(self._base)
            raise EngineRunError(
                f"it cannot be loaded with {count} threads", where=self._model.name
            ) from None
        tuned.threads = count
        self._loads += 1
        self._load_s = max(self._load_s, self._clock() - begin)

    def _release(self, tuning: Tuning) -> None:
        """Load the network again if it holds much memory for batches that were not chosen."""
        known = [each.memory or 0 for each in tuning.trials]
        needed = max(
            (each.memory or 0 for each in tuning.trials if each.batch_size <= tuning.batch_size), default=0
        )
        if max(known, default=0) - needed > HELD_BYTES and hasattr(self._model.engine, "set_threads"):
            tuned, self._model.tuned.threads = self._model.tuned, -1  # what it has if loading fails
            self._model.engine.set_threads(tuning.cpu_threads)
            tuned.threads = tuning.cpu_threads
            self._loads += 1

    def _seconds(self, threads: int, size: int) -> float:
        """Return the seconds that trying a pair of values will probably take at most, from smaller sizes; 0 if unknown."""
        known = [t for t in self._trials.values() if t.seconds is not None and t.batch_size <= size]
        if not known:
            return 0.0
        nearest = max(known, key=lambda t: (t.batch_size, -abs(t.cpu_threads - threads)))
        one = (nearest.seconds or 0.0) * size / nearest.batch_size * max(1.0, nearest.cpu_threads / threads)
        limit = self._model.settings.limits.source_seconds
        return float("inf") if limit is not None and 2 * one > limit else one * (1 + RUNS)

    def _memory_for(self, threads: int, size: int) -> bool:
        """Return False if a batch would probably take more memory than it may."""
        smaller = [
            t for t in self._trials.values() if t.cpu_threads == threads and t.memory and t.batch_size < size
        ]
        if not smaller or self._free is None:
            return True
        nearest = max(smaller, key=lambda t: t.batch_size)
        own = COPIES * size * self._tensors[0].nbytes
        return own + (nearest.memory or 0) * size / nearest.batch_size <= self._allowed()

    def _allowed(self) -> float:
        """Return the bytes that a batch may take."""
        most = MEMORY_SHARE * (self._free or 0)
        limit = self._model.settings.limits.memory_limit
        return most if limit is None else min(most, max(0.0, limit * 1e6 - self._held))

    def _resident(self) -> int:
        engine = self._model.engine
        return resident(engine.pid if isinstance(engine, HostedEngine) else None)

    def _grown(self) -> int:
        return max(0, self._resident() - self._held)

    def _left(self) -> float:
        return self._settings.tuning_seconds - (self._clock() - self._begin)

    def _ok(self) -> list[Trial]:
        return [each for each in self._trials.values() if each.outcome == "ok" and each.rate]

    def _best(self) -> Tuning:
        """Return the best choice so far: the fewest inputs at once that are about as fast as the fastest."""
        found = self._ok()
        if not found:
            return self._chosen(self._base, self._least)
        rate = max(each.rate or 0.0 for each in found)
        good = [each for each in found if (each.rate or 0.0) >= AS_GOOD * rate]
        best = min(good, key=lambda each: (each.batch_size, -(each.rate or 0.0)))
        return self._chosen(best.cpu_threads, best.batch_size)

    def _chosen(self, threads: int, size: int) -> Tuning:
        trials = tuple(self._trials[key] for key in sorted(self._trials))
        found = datetime.now(UTC).isoformat(timespec="seconds")
        spent = round(self._clock() - self._begin, 3)
        shape = tuple(self._tensors[0].shape)
        return Tuning(self._model.name, shape, size, threads, trials, spent, self._loads, found)

    def _parts(self) -> dict[str, Any]:
        """Return everything that the best choice depends on."""
        model, limits = self._model, self._model.settings.limits
        engine = model.engine
        return {
            "archive": model.package.digest,
            "engine": [engine.name, engine.version, engine.device, engine.precision, model.at_once],
            "isolated": isinstance(engine, HostedEngine),
            "machine": machine(),
            "settings": asdict(self._settings),
            "limits": [limits.memory_limit, limits.source_seconds],
            "outputs": list(model.task.wanted),
            "shape": list(self._tensors[0].shape),
        }
