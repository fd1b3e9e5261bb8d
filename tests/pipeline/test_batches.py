"""A batch that is not full waits for inputs, and what comes meanwhile waits with it: never much of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quadrat.geometry import Geometry
from quadrat.pipeline.batches import BESIDE, Batches
from quadrat.pipeline.events import Prepared, Ran
from quadrat.pipeline.loaded import LoadedModel, load_model
from quadrat.types import Flush, Frame, FrameKey, Result, Sample, Source
from tests.detectors import detector_archive
from tests.moving import boxes_of, film, measured, watched
from tests.networks import brightness_archive
from tests.values import settings_of

LOG = logging.getLogger("test")
SIZE = 4
HW = (64, 96)
SOURCE = Source("urn:v", "v.mp4", "video")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[LoadedModel]:
    """The brightness network, loaded, with batches of SIZE."""
    with load_model(brightness_archive(tmp_path / "m.tgz"), settings_of(batch_size=SIZE), LOG) as loaded:
        yield loaded


def item(number: int, skipped: str) -> Prepared | Result:
    """Make what the stage before gives for a frame: an input, or that it is not measured."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    frame = Frame(FrameKey(SOURCE.urn, number), (8, 8), pixels, time_s=number / 25, skipped=skipped)
    if skipped:
        return Result(SOURCE, frame, {})
    return Prepared(SOURCE, Sample(frame, np.zeros((3, 8, 8), np.float32), Geometry.identity((8, 8))))


def test_a_long_darkness_does_not_pile_up_behind_one_input(model: LoadedModel) -> None:
    """An input waits for others to share its batch; the black frames that come instead are not all kept with it."""
    taken = []

    def items() -> Iterator[Prepared | Result]:
        for number in range(200):
            taken.append(number)
            yield item(number, "black" if number % 100 else "")

    held, came = 0, []
    for one in Batches(model)(items()):
        came.append(one.sample.frame if isinstance(one, Ran) else one.frame)
        held = max(held, len(taken) - len(came))

    assert list(range(200)) == [frame.key.index for frame in came]
    assert held <= (BESIDE + 1) * SIZE + 1


class Slow:
    """An engine whose first run takes longest; it knows how many are inside."""

    def __init__(self) -> None:
        self.most = self._inside = self._begun = 0
        self._lock = threading.Lock()

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Sleep, and give each input's first value."""
        with self._lock:
            self._begun += 1
            self._inside += 1
            self.most = max(self.most, self._inside)
            nap = 0.1 / self._begun
        time.sleep(nap)
        with self._lock:
            self._inside -= 1
        return dict.fromkeys(outputs, batch[:, 0, 0, 0])


def side_by_side(model: LoadedModel, count: int, engine: Slow) -> LoadedModel:
    """Give the model with another engine that does `count` runs at once, one input each."""
    settings = replace(model.settings, batch_size=1)
    return replace(model, engine=engine, settings=settings, at_once=count, turns=threading.Semaphore(count))  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_runs_side_by_side_leave_in_the_order_they_came(model: LoadedModel, count: int) -> None:
    """The first takes longest; the engine is never given more at once than it takes, and what it takes is used."""
    engine = Slow()
    inputs = (numbered(n) for n in range(12))
    came = list(Batches(side_by_side(model, count, engine))(inputs))
    assert list(range(12)) == [one.sample.frame.key.index for one in came]
    assert list(range(12)) == [int(one.outcome.arrays[model.task.wanted[0]]) for one in came]
    assert engine.most == count


def test_nothing_is_left_under_way_at_a_flush(model: LoadedModel) -> None:
    """A store that will wait, or a frame that must know the answers before it, has them all by then."""
    taken: list[int] = []
    came: list[Ran] = []

    def inputs() -> Iterator[Prepared | Flush]:
        for number in range(6):
            yield numbered(number)
            taken.append(number)
            if number % 3 == 2:
                yield Flush()
                assert len(came) == len(taken)

    for one in Batches(side_by_side(model, 2, Slow()))(inputs()):
        came += [one]
    assert len(came) == 6


def test_a_closed_stage_leaves_no_run_behind(model: LoadedModel) -> None:
    """Whoever stops reading waits for the runs under way, and none begins after that."""
    engine = Slow()
    stage = Batches(side_by_side(model, 2, engine))(numbered(n) for n in range(12))
    next(stage)
    stage.close()
    begun = engine._begun
    time.sleep(0.05)
    assert engine._inside == 0
    assert engine._begun == begun < 6


def numbered(number: int) -> Prepared:
    """Make an input that is all of this number."""
    frame = Frame(FrameKey(SOURCE.urn, number), (8, 8), np.zeros((8, 8, 3), np.uint8), time_s=number / 25)
    return Prepared(SOURCE, Sample(frame, np.full((3, 8, 8), number, np.float32), Geometry.identity((8, 8))))


def test_a_network_of_a_fixed_batch_gets_its_last_input_again(tmp_path: Path) -> None:
    """Six frames of two videos go through a network of exactly four in two full batches, and each has its own box."""
    archive = detector_archive(tmp_path / "m.tgz", batch=4, hw=HW)
    boxes = {
        name: [(8 * n, top, 8 * n + 24, top + 16) for n in range(3)] for name, top in (("a", 8), ("b", 40))
    }
    films = [film(tmp_path / f"{name}.mp4", [bright(box) for box in boxes[name]]) for name in boxes]
    sizes: list[int] = []
    with load_model(archive, settings_of(batch_size=8), LOG) as loaded:
        counted = watched(loaded, lambda batch: sizes.append(len(batch)))
        results, ends = measured(counted, films, batch_size=8)

    assert [4, 4] == sizes
    assert {name: [[box] for box in each] for name, each in boxes.items()} == {
        name: [boxes_of(result) for result in results[name]] for name in boxes
    }
    assert [None, None] == [ends[name].reading.error for name in boxes]  # type: ignore[union-attr]


def bright(box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Draw a white rectangle x0, y0, x1, y1 on black."""
    pixels = np.zeros((*HW, 3), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    return pixels
