"""Sources -> results, in order, while one image is read, one is in the network and one is with the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from time import perf_counter

import numpy as np

from quadrat.errors import EngineRunError, InputError, QuadratError
from quadrat.geometry import Geometry
from quadrat.media import images
from quadrat.pipeline.chain import Stage, run_chain
from quadrat.pipeline.loaded import LoadedModel
from quadrat.types import Failure, Flush, FrameKey, Item, Part, Result, Sample, Source

Pull = Callable[[Source], AbstractContextManager[Path]]
Raw = tuple[Source, Sample, Part]

WARM_UPS = 5
"""Extra runs of the first batch with the benchmark setting, as in the original service."""


class Prediction:
    """The path of one run; iterate it once. `seconds` tells the busy time of each stage so far."""

    def __init__(self, model: LoadedModel, items: Iterable[Item], pull: Pull) -> None:
        self._model = model
        self._items = items
        self._pull = pull
        self._stages = [Stage("read", self._read), Stage("infer", self._infer)]
        self._task_s = 0.0
        self.warm_up_s = 0.0

    @property
    def seconds(self) -> dict[str, float]:
        """Busy seconds by stage, warm-up left out: read (fetch, decode, transform), infer (network), task (masks)."""
        read, infer = (stage.busy_s for stage in self._stages)
        return {"read": read, "infer": infer - self.warm_up_s, "task": self._task_s}

    def __iter__(self) -> Iterator[Result | Failure]:
        """Yield a Result or Failure for every source, in order.

        An image's own fault is a Failure; a fault of the model or the machine is raised.
        """
        stream = run_chain(self._items, self._stages)
        try:
            for item in stream:
                yield item if isinstance(item, Failure) else self._interpret(*item)
        finally:
            stream.close()  # type: ignore[attr-defined]  # run_chain is a generator

    def _read(self, items: Iterator[Item]) -> Iterator[tuple[Source, Sample] | Failure | Flush]:
        for item in items:
            if isinstance(item, Source):
                yield self._sample(item)
            else:
                yield item

    def _sample(self, source: Source) -> tuple[Source, Sample] | Failure:
        """Fetch, decode and transform one image; whatever goes wrong is this image's failure."""
        try:
            with self._pull(source) as path:
                body = path.read_bytes()
            frame = images.decode(body, FrameKey(source.urn), self._model.settings.max_img_size)
            start = Geometry.identity(frame.source_hw).resized(frame.pixels.shape[:2])
            tensor, geometry = self._model.transform(frame.pixels, start)
        except QuadratError as error:
            return Failure(source, "read", located(error, source.name))
        except Exception as error:  # noqa: BLE001 - one image must not end an order, whatever it holds
            return Failure(source, "read", _unexpected(error, source.name))
        return source, Sample(frame, tensor, geometry)

    def _infer(self, items: Iterator[tuple[Source, Sample] | Failure | Flush]) -> Iterator[Raw | Failure]:
        """Gather neighbours of one tensor shape into batches; failures keep their place."""
        waiting: list[tuple[Source, Sample] | Failure] = []
        for item in items:
            if isinstance(item, Flush):
                yield from self._run(waiting)
                waiting = []
                continue
            if not isinstance(item, Failure) and not _fits(item[1], waiting):
                yield from self._run(waiting)
                waiting = []
            waiting.append(item)
            count = sum(not isinstance(w, Failure) for w in waiting)
            if count in (0, self._model.settings.batch_size):
                yield from self._run(waiting)
                waiting = []
        yield from self._run(waiting)

    def _warm_up(self, pairs: Sequence[tuple[Source, Sample]]) -> None:
        """Run the first batch a few times over, uncounted; a batch that fails fails again when it counts."""
        begin = perf_counter()
        with suppress(EngineRunError):
            for _ in range(WARM_UPS):
                tensor = np.stack([sample.tensor for _, sample in pairs])
                self._model.engine.run(tensor, self._model.task.wanted)
        self.warm_up_s = perf_counter() - begin

    def _run(self, waiting: Sequence[tuple[Source, Sample] | Failure]) -> Iterator[Raw | Failure]:
        pairs = [w for w in waiting if not isinstance(w, Failure)]
        if pairs and self._model.settings.benchmark and not self.warm_up_s:
            self._warm_up(pairs)
        ran = iter(self._run_batch(pairs) if pairs else ())
        for item in waiting:
            yield item if isinstance(item, Failure) else next(ran)

    def _run_batch(self, pairs: Sequence[tuple[Source, Sample]]) -> list[Raw | Failure]:
        """Run one batch; where it fails whole (out of memory, say), each image alone."""
        tensors = [sample.tensor for _, sample in pairs]
        try:
            tensor = tensors[0][None] if len(tensors) == 1 else np.stack(tensors)
            arrays = self._model.engine.run(tensor, self._model.task.wanted)
        except (EngineRunError, MemoryError) as error:
            if len(pairs) > 1:
                return [ran for pair in pairs for ran in self._run_batch([pair])]
            source = pairs[0][0]
            known = error if isinstance(error, QuadratError) else EngineRunError("there is not enough memory")
            return [Failure(source, "infer", located(known, source.name))]
        return [
            (source, sample, Part({name: a[i] for name, a in arrays.items()}, sample.geometry))
            for i, (source, sample) in enumerate(pairs)
        ]

    def _interpret(self, source: Source, sample: Sample, part: Part) -> Result | Failure:
        begin = perf_counter()
        try:
            prediction = self._model.task.predict(sample.frame, [part])
        except (EngineRunError, InputError) as error:
            return Failure(source, "task", located(error, source.name))
        except MemoryError:
            return Failure(source, "task", EngineRunError("there is not enough memory", where=source.name))
        finally:
            self._task_s += perf_counter() - begin
        return Result(source, sample.frame, {self._model.task.name: prediction})


def located(error: QuadratError, name: str) -> QuadratError:
    """The same error, saying which image it is about."""
    where = f"{name} ({error.where})" if error.where and error.where != name else name
    return type(error)(error.what, where=where, hint=error.hint)


def _unexpected(error: Exception, name: str) -> QuadratError:
    return QuadratError(f"unexpected {type(error).__name__}: {error}", where=name, hint="Please report this")


def _fits(sample: Sample, waiting: Sequence[tuple[Source, Sample] | Failure]) -> bool:
    shapes = {w[1].tensor.shape for w in waiting if not isinstance(w, Failure)}
    return shapes <= {sample.tensor.shape}
