"""The path's promises: order, flushes, and what one image's fault may do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from quadrat.pipeline.loaded import LoadedModel, load_model

from quadrat.errors import EngineRunError, NotAnImageError, SourceError
from quadrat.pipeline.run import Run
from quadrat.types import Blob, Failure, Flush, Result, Source, StoreItem
from tests import pictures
from tests.networks import brightness_archive
from tests.values import settings_of

LOG = logging.getLogger("test")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[LoadedModel]:
    """The brightness network, loaded, with batches of four."""
    with load_model(brightness_archive(tmp_path / "m.tgz"), settings_of(batch_size=4), LOG) as loaded:
        yield loaded


@pytest.fixture
def files(tmp_path: Path) -> list[Source]:
    """Six equal pictures."""
    sources = []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        path.write_bytes(pictures.png(np.full((8, 8, 3), 40 * number, np.uint8)))
        sources.append(Source(f"urn:{number}", path.name, token=str(path)))
    return sources


@contextmanager
def pull(source: Source) -> Iterator[Blob]:
    """Give the file."""
    yield Blob(Path(source.token))


class Failing:
    """An engine that fails on batches larger than `most`, and on pictures darker than `least`."""

    def __init__(self, inner: Any, most: int, least: float = -9.0) -> None:
        self._inner, self._most, self._least = inner, most, least
        self.ran: list[int] = []

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run, or fail."""
        self.ran.append(len(batch))
        if len(batch) > self._most or batch.min() < self._least:
            raise EngineRunError("out of memory")
        return self._inner.run(batch, outputs)


def names(got: Sequence[Result | Failure]) -> list[str]:
    """Name what came out."""
    return [("!" if isinstance(g, Failure) else "") + g.source.name for g in got]


def test_failures_keep_their_place(model: LoadedModel, files: list[Source]) -> None:
    """Results and failures come out in the order of the sources, across batches."""
    skipped = Failure(Source("urn:x", "x"), "list", NotAnImageError("no"))
    gone = Source("urn:y", "y", token="/nowhere/y.png")
    got = list(Run(model, [files[0], skipped, files[1], gone, *files[2:]], pull))

    assert ["0.png", "!x", "1.png", "!y", "2.png", "3.png", "4.png", "5.png"] == names(got)


def test_a_flush_finishes_the_batch_under_way(model: LoadedModel, files: list[Source]) -> None:
    """A store that waits for its acknowledgements gets them: two images of a batch of four come out."""
    done: list[str] = []

    def items() -> Iterator[StoreItem]:
        yield from files[:2]
        yield Flush()
        for _ in range(100):
            if len(done) == 2:
                return
            time.sleep(0.05)
        raise AssertionError(f"a deadlock: {done}")

    for item in Run(model, items(), pull):
        done.append(item.source.name)  # noqa: PERF401 - the source above watches the list grow

    assert ["0.png", "1.png"] == done


def test_a_batch_that_fails_is_run_one_by_one(model: LoadedModel, files: list[Source]) -> None:
    """Out of memory on four is no failure of any image that fits alone."""
    engine = Failing(model.engine, most=1)
    got = list(Run(replace(model, engine=engine), files, pull))

    assert ["0.png", "1.png", "2.png", "3.png", "4.png", "5.png"] == names(got)
    assert [4, 1, 1, 1, 1, 2, 1, 1] == engine.ran


def test_an_engine_failure_is_the_images_own(model: LoadedModel, files: list[Source]) -> None:
    """One picture that the engine cannot run fails alone, with its name in the error."""
    got = list(Run(replace(model, engine=Failing(model.engine, 9, least=-0.9)), files, pull))

    assert ["!0.png", "1.png", "2.png", "3.png", "4.png", "5.png"] == names(got)
    assert isinstance(got[0], Failure)
    assert "0.png: out of memory" == str(got[0].error)


@pytest.mark.parametrize(
    ("error", "code"), [(SourceError("403"), "E_SOURCE"), (ZeroDivisionError("odd"), "E_INTERNAL")]
)
def test_whatever_one_image_raises_is_its_failure(
    model: LoadedModel, files: list[Source], error: Exception, code: str
) -> None:
    """Even a fault of ours in one image does not end the night."""

    @contextmanager
    def broken(source: Source) -> Iterator[Blob]:
        if source.name == "1.png":
            raise error
        yield Blob(Path(source.token))

    got = list(Run(model, files[:3], broken))

    assert ["0.png", "!1.png", "2.png"] == names(got)
    assert isinstance(got[1], Failure)
    assert code == got[1].error.code


def test_a_source_that_crashes_is_raised(model: LoadedModel, files: list[Source]) -> None:
    """A queue that breaks is the order's fault, not an image's."""

    def items() -> Iterator[StoreItem]:
        yield files[0]
        raise SourceError("the queue is gone")

    with pytest.raises(SourceError, match="the queue is gone"):
        list(Run(model, items(), pull))


def test_interleaved_runs_of_a_model_take_turns(model: LoadedModel, files: list[Source]) -> None:
    """Two runs at once share one engine, which is never called while it is at work: some fail then, or mix outputs up."""
    inside, overlaps = threading.Lock(), []

    class Alone:
        def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
            overlaps.append(not inside.acquire(blocking=False))
            time.sleep(0.02)
            if not overlaps[-1]:
                inside.release()
            ran: dict[str, NDArray[Any]] = model.engine.run(batch, outputs)
            return ran

    watched = replace(model, engine=Alone(), settings=settings_of(batch_size=1))  # type: ignore[arg-type]
    pairs = list(zip(Run(watched, files, pull), Run(watched, files, pull), strict=True))

    assert len(files) == len(pairs) == len(overlaps) / 2
    assert not any(overlaps)
