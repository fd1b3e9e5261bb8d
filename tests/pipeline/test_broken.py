"""What ends a run in the middle is reported as what it is, after the answers to all that came before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat.errors import ParameterError, SourceError
from quadrat.pipeline.events import DecodedFrame
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.pipeline.read import SourceReader
from quadrat.pipeline.run import Run
from quadrat.tasks.segment import task
from quadrat.types import Failure, Result, Source, SourceClosed
from tests.moving import RECTANGLES, film, load, pull, swim
from tests.networks import brightness_archive
from tests.pictures import png
from tests.values import settings_of

GREY = np.full((96, 128, 3), 120, np.uint8)


def opened(folder: Path, **settings: Any) -> AbstractContextManager[LoadedModel]:
    """Open the brightness network for a stream of frames."""
    return load(brightness_archive(folder / "m.tgz"), settings_of(**settings), throughput=True)


def picture(path: Path, height: int) -> Source:
    """Write a grey picture."""
    path.write_bytes(png(np.full((height, 128, 3), 120, np.uint8)))
    return Source(f"urn:{path.stem}", path.name, token=str(path))


def ending(*sources: Source) -> Iterator[Source]:
    """Give sources, and then fail as a queue does that has gone."""
    yield from sources
    raise SourceError("the queue is gone", where="queue")


def until(run: Run) -> tuple[list[Any], SourceError]:
    """Give all that a run yields, and the error of the queue that it raises in the end."""
    came: list[Any] = []
    try:
        came.extend(run)
    except SourceError as error:
        return came, error
    raise AssertionError("it ended as if nothing were wrong")


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("tile_size", [0, 64])
def test_a_video_that_is_whole_stays_whole(tmp_path: Path, batch_size: int, tile_size: int) -> None:
    """Its frames and its end arrive before the error of what comes after it, however many are under way."""
    source = film(tmp_path / "a.mp4", [GREY] * 10)
    with opened(tmp_path, batch_size=batch_size, tile_size=tile_size, sources_at_once=1) as model:
        came, error = until(Run(Pass([model]), ending(source), pull, moving=True))

    assert error.what == "the queue is gone"
    assert sum(isinstance(item, Result) for item in came) == 10
    (end,) = [item for item in came if isinstance(item, SourceClosed)]
    assert end.faults == ()


@pytest.mark.parametrize("min_hits", [1, 2, 5])
def test_frames_that_wait_for_a_track_are_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, min_hits: int
) -> None:
    """Whatever min-hits is, all frames before the error arrive, and before it."""
    sources = [film(tmp_path / f"{name}.mp4", swim(10)) for name in "ab"]
    moving = SourceReader.moving

    def broken(self: SourceReader, items: Iterator[Any]) -> Iterator[Any]:
        frames = 0
        for item in moving(self, items):
            yield item
            frames += isinstance(item, DecodedFrame)
            if frames == 12:
                raise SourceError("the queue is gone", where="queue")

    monkeypatch.setattr(SourceReader, "moving", broken)
    with load(RECTANGLES, settings_of(min_hits=min_hits), throughput=True) as model:
        came, _ = until(Run(Pass([model]), iter(sources), pull, moving=True))

    assert sum(isinstance(item, Result) for item in came) == 12


@pytest.mark.parametrize("batch_size", [1, 4])
def test_no_picture_is_blamed_for_the_queue(tmp_path: Path, batch_size: int) -> None:
    """Tiles of a picture wait for each other, and what comes in place of the next one is not the picture's fault."""
    sources = [picture(tmp_path / f"{number}.png", 96) for number in range(2)]
    with opened(tmp_path, batch_size=batch_size, tile_size=64) as model:
        came, error = until(Run(Pass([model]), ending(*sources), pull))

    assert error.what == "the queue is gone"
    assert [type(item) for item in came] == [Result, Result]


def test_a_picture_of_too_many_tiles_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that would take longer than anyone waits is refused by itself; the others are measured."""

    def plan(hw: tuple[int, int], *how: int) -> Any:
        if hw[0] > 100:
            raise ParameterError("too many tiles")
        return real(hw, *how)

    real = task.plan_masks
    monkeypatch.setattr(task, "plan_masks", plan)
    sources = [picture(tmp_path / f"{number}.png", height) for number, height in enumerate((96, 200, 96))]
    with opened(tmp_path, tile_size=64) as model:
        came = list(Run(Pass([model]), iter(sources), pull))

    assert [type(item) for item in came] == [Result, Failure, Result]


def test_the_networks_time_is_counted_though_another_stage_is_slower(tmp_path: Path) -> None:
    """Inputs that come late leave two runs alone with the network: their time is busy, not a wait for answers."""
    source = film(tmp_path / "a.mp4", [GREY] * 12)
    with opened(tmp_path) as model:
        clock = Clock(model.engine)
        run = Run(Pass([replace(model, engine=clock)]), iter([source]), pull, moving=True)  # type: ignore[arg-type]
        begin = time.perf_counter()
        list(run)
        wall = time.perf_counter() - begin
    (infer,) = [stage for stage in run.stages if stage.name == "infer"]

    assert clock.ran == 12
    assert clock.seconds / model.at_once <= infer.busy_s
    assert infer.busy_s + infer.starved_s + infer.blocked_s <= wall


class Clock:
    """An engine that counts its runs and adds up their times."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self.ran, self.seconds = 0, 0.0

    def run(self, *given: Any) -> Any:
        """Run."""
        self.ran += 1
        begin = time.perf_counter()
        try:
            return self._engine.run(*given)
        finally:
            with self._lock:
                self.seconds += time.perf_counter() - begin
