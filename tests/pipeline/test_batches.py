"""A batch that is not full waits for inputs, and what comes meanwhile waits with it: never much of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quadrat.engines.host import HostedEngine
from quadrat.errors import EngineRunError, EngineTimeoutError
from quadrat.geometry import Geometry
from quadrat.pipeline.batches import BESIDE, WARM_UPS, Batches
from quadrat.pipeline.events import MeasuredFrame, OpenFrame, PartResult, PreparedPart
from quadrat.pipeline.models import LoadedModel
from quadrat.pipeline.state import SourceState
from quadrat.types import Flush, Frame, FrameKey, Part, Result, Sample, Source
from tests.detectors import detector_archive
from tests.moving import RECTANGLES, boxes_of, closed, draw, film, load, measured, objects, watched
from tests.networks import brightness_archive
from tests.values import settings_of

SIZE = 4
HW = (64, 96)
SOURCE = Source("urn:v", "v.mp4", "video")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[LoadedModel]:
    """The brightness network, loaded, with batches of SIZE."""
    with load(brightness_archive(tmp_path / "m.tgz"), settings_of(batch_size=SIZE)) as loaded:
        yield loaded


def frame_of(number: int, skipped: str = "") -> Frame:
    """Make a dark frame."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    return Frame(FrameKey(SOURCE.urn, number), (8, 8), pixels, time_s=number / 25, skipped=skipped)


def numbered(number: int, model: str = "tiny", part: int = 0) -> PreparedPart:
    """Make an input that is all of this number."""
    opened = OpenFrame(SourceState.of(SOURCE, (model,)), frame_of(number), waiting=1)
    sample = Sample(np.full((3, 8, 8), number, np.float32), Geometry.identity((8, 8)))
    return PreparedPart(opened, model, part, sample)


def black(number: int) -> MeasuredFrame:
    """Make a frame that is not measured."""
    return MeasuredFrame(SourceState.of(SOURCE, ("tiny",)), Result(SOURCE, frame_of(number, "black"), {}))


def index_of(item: Any) -> int:
    """Give the number of a frame."""
    frame: Frame = item.frame.frame if isinstance(item, PartResult | PreparedPart) else item.result.frame
    return frame.key.index


def test_a_long_darkness_does_not_pile_up_behind_one_input(model: LoadedModel) -> None:
    """An input waits for others to share its batch; the black frames that come instead are not all kept with it."""
    taken = []

    def items() -> Iterator[PreparedPart | MeasuredFrame]:
        for number in range(200):
            taken.append(number)
            yield black(number) if number % 100 else numbered(number)

    held, came = 0, []
    for one in Batches(model)(items()):
        came.append(index_of(one))
        held = max(held, len(taken) - len(came))

    assert list(range(200)) == came
    assert held <= (BESIDE + 1) * SIZE + 1


def test_inputs_of_other_models_pass_and_keep_their_place(model: LoadedModel) -> None:
    """Each model has a stage of its own, which runs nothing but its inputs; batches are full all the same."""
    sizes: list[int] = []
    inputs = [
        numbered(n, name, part) for n in range(6) for part, name in enumerate(("tiny", "other", "tiny"))
    ]
    counted = watched(model, lambda batch: sizes.append(len(batch)))
    came = list(Batches(counted)(iter(inputs)))

    assert [4, 4, 4] == sizes
    assert [(each.model, each.number, index_of(each)) for each in inputs] == [
        (each.model, each.number, index_of(each)) for each in came
    ]
    assert [PartResult, PreparedPart, PartResult] * 6 == [type(each) for each in came]


class Meeting:
    """An engine in which `count` runs are inside at once, or the last of all `runs`; each ends when all are there."""

    def __init__(self, count: int) -> None:
        self.most = self.inside = self.begun = 0
        self.meet = threading.Barrier(count)
        self._lock = threading.Lock()

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Wait for the others, and give each input's first value."""
        with self._lock:
            self.begun += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.meet.wait(timeout=30)
        with self._lock:
            self.inside -= 1
        return dict.fromkeys(outputs, batch[:, 0, 0, 0])


def side_by_side(model: LoadedModel, count: int, engine: Any) -> LoadedModel:
    """Give the model with another engine that does `count` runs at once, one input each."""
    turns = threading.Semaphore(count)
    return replace(model, engine=engine, settings=settings_of(batch_size=1), at_once=count, turns=turns)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_runs_side_by_side_leave_in_the_order_they_came(model: LoadedModel, count: int) -> None:
    """The engine is never given more at once than it takes, and what it takes is used."""
    engine = Meeting(count)
    came = list(Batches(side_by_side(model, count, engine))(numbered(n) for n in range(12)))

    assert list(range(12)) == [index_of(one) for one in came]
    assert list(range(12)) == [int(one.outcome.arrays[model.task.wanted[0]]) for one in came]
    assert engine.most == count


def test_a_run_that_takes_longest_is_still_first(model: LoadedModel) -> None:
    """The second run is over before the first one, and its result leaves after it."""
    second = threading.Event()

    class Late:
        def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
            if batch.max() == 0:
                assert second.wait(30)
            else:
                second.set()
            return dict.fromkeys(outputs, batch[:, 0, 0, 0])

    came = list(Batches(side_by_side(model, 2, Late()))(numbered(n) for n in range(4)))

    assert [0, 1, 2, 3] == [index_of(one) for one in came]
    assert all(isinstance(one.outcome, Part) for one in came)


def test_nothing_is_left_under_way_at_a_flush(model: LoadedModel) -> None:
    """A store that will wait, or a frame that must know the answers before it, has them all by then."""
    taken: list[int] = []
    came: list[PartResult] = []

    def inputs() -> Iterator[PreparedPart | Flush]:
        for number in range(8):
            yield numbered(number)
            taken.append(number)
            if number % 4 == 3:
                yield Flush()
                assert len([one for one in came if isinstance(one, PartResult)]) == len(taken)

    for one in Batches(side_by_side(model, 2, Meeting(2)))(inputs()):
        came += [one]
    assert [0, 1, 2, 3, 4, 5, 6, 7] == [index_of(one) for one in came if isinstance(one, PartResult)]


def test_a_closed_stage_leaves_no_run_behind(model: LoadedModel) -> None:
    """Whoever stops reading waits for the runs under way, and none begins after that."""
    engine = Meeting(2)
    stage: Any = Batches(side_by_side(model, 2, engine))(numbered(n) for n in range(100))
    next(stage)
    engine.meet.abort()
    stage.close()

    assert engine.begun < 6
    assert not [t for t in threading.enumerate() if t.name.startswith("quadrat-worker")]


def test_a_network_of_a_fixed_batch_gets_its_last_input_again(tmp_path: Path) -> None:
    """Six frames of two videos go through a network of exactly four in two full batches, and each has its own box."""
    archive = detector_archive(tmp_path / "m.tgz", batch=4, hw=HW)
    boxes = {
        name: [(8 * n, top, 8 * n + 24, top + 16) for n in range(3)] for name, top in (("a", 8), ("b", 40))
    }
    films = [film(tmp_path / f"{name}.mp4", [bright(box) for box in boxes[name]]) for name in boxes]
    sizes: list[int] = []
    with load(archive, settings_of(batch_size=8)) as loaded:
        counted = watched(loaded, lambda batch: sizes.append(len(batch)))
        results, ends = measured(counted, films, batch_size=8)

    assert [4, 4] == sizes
    assert {name: [[box] for box in each] for name, each in boxes.items()} == {
        name: [boxes_of(result) for result in results[name]] for name in boxes
    }
    assert [(), ()] == [closed(ends[name]).faults for name in boxes]


def bright(box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Draw a white rectangle x0, y0, x1, y1 on black."""
    pixels = np.zeros((*HW, 3), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    return pixels


def test_tiles_of_several_frames_and_sources_share_a_batch(tmp_path: Path) -> None:
    """Two videos of three frames and six tiles each fill batches of eight, and every box stays with its frame."""
    sizes: list[int] = []
    truth = {
        name: [(10 + dx + 20 * n, 30, 40 + dx + 20 * n, 60) for n in range(3)]
        for name, dx in (("a", 0), ("b", 90))
    }
    sources = [
        film(tmp_path / f"{name}.mp4", [draw([box]) for box in boxes]) for name, boxes in truth.items()
    ]
    with load(RECTANGLES) as loaded:
        counted = watched(loaded, lambda batch: sizes.append(len(batch)))
        results, _ = measured(counted, sources, tile_size=80, tile_overlap=40, batch_size=8)

    assert {8} == set(sizes[:-1])
    for name, boxes in truth.items():
        for box, result in zip(boxes, results[name], strict=True):
            np.testing.assert_allclose(objects(result).boxes, [box], atol=1.5)


def test_the_items_before_an_error_are_answered_first(model: LoadedModel) -> None:
    """A batch that waits for more inputs is run when the source breaks, and then the error is raised."""

    def items() -> Iterator[PreparedPart]:
        yield from (numbered(n) for n in range(SIZE + 2))
        raise ZeroDivisionError("odd")

    came: list[Any] = []
    with pytest.raises(ZeroDivisionError, match="odd"):
        came.extend(Batches(model)(items()))
    assert list(range(SIZE + 2)) == [index_of(one) for one in came]


def test_one_more_batch_is_ready_than_the_engine_runs(model: LoadedModel) -> None:
    """The next input is taken while all runs are under way, so that the network never waits for it."""
    third = threading.Event()

    class Waiting:
        def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
            assert third.wait(10)
            return dict.fromkeys(outputs, batch[:, 0, 0, 0])

    def items() -> Iterator[PreparedPart]:
        for number in range(4):
            if number == 2:
                third.set()
            yield numbered(number)

    came = list(Batches(side_by_side(model, 2, Waiting()))(items()))
    assert [0, 1, 2, 3] == [index_of(one) for one in came]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_batch_that_fails_as_a_whole_is_run_input_by_input(model: LoadedModel, count: int) -> None:
    """Whatever its size, inputs that fit alone are measured, and one that does not fails alone."""

    def fail(batch: NDArray[np.float32]) -> None:
        if len(batch) > 1 or batch.max() == 1:
            raise EngineRunError("out of memory")

    came = list(Batches(watched(model, fail))(numbered(n) for n in range(count)))
    assert [n != 1 for n in range(count)] == [isinstance(one.outcome, Part) for one in came]


def test_only_the_first_batch_warms_up(model: LoadedModel) -> None:
    """With the benchmark setting it runs a few times more, and these runs have a time of their own."""
    sizes: list[int] = []
    counted = watched(model, lambda batch: sizes.append(len(batch)))
    asked = replace(counted, settings=settings_of(batch_size=SIZE, benchmark=True))
    stage = Batches(asked)
    list(stage(numbered(n) for n in range(3 * SIZE)))

    assert [SIZE] * (WARM_UPS + 3) == sizes
    assert stage.warm_up_s > 0


def test_the_engine_runs_while_its_turn_is_held(model: LoadedModel) -> None:
    """Another run of the same model must wait for it."""
    free: list[bool] = []

    def attempt(_: Any) -> None:
        taken = model.turns.acquire(blocking=False)
        free.append(taken)
        if taken:
            model.turns.release()

    list(Batches(watched(model, attempt))(numbered(n) for n in range(SIZE)))
    assert [False] == free


def test_only_inputs_of_one_shape_share_a_batch(model: LoadedModel) -> None:
    """Neighbours of another size begin a batch of their own."""
    shapes: list[tuple[int, ...]] = []
    inputs = [numbered(n) for n in range(4)]
    for n in (1, 2):
        sample = Sample(np.zeros((3, 8, 16), np.float32), Geometry.identity((8, 16)))
        inputs[n] = replace(inputs[n], sample=sample)
    counted = watched(model, lambda batch: shapes.append(batch.shape))
    came = list(Batches(counted)(iter(inputs)))

    assert [(1, 3, 8, 8), (2, 3, 8, 16), (1, 3, 8, 8)] == shapes
    assert [0, 1, 2, 3] == [index_of(one) for one in came]


def test_a_frame_without_time_left_is_not_run(model: LoadedModel) -> None:
    """A run would end the child; after three of them the network would be given up for the frames that follow."""
    ran: list[float] = []

    class Hosted(HostedEngine):
        """Runs what it hosts in this process."""

        def __init__(self) -> None:
            vars(self).update(at_once=1, outputs=model.engine.outputs, name="hosted")

        def run(self, batch: Any, outputs: Any, seconds: float | None = None) -> Any:
            """Note the seconds, and run."""
            ran.append(seconds or 0.0)
            return model.engine.run(batch, outputs)

    settings = settings_of(batch_size=1, source_seconds=2.0)
    slow, fresh = numbered(1), numbered(2)
    slow.frame.spent_s = 2.5
    came = list(Batches(replace(model, engine=Hosted(), settings=settings))([slow, fresh]))

    assert [True, False] == [isinstance(one.outcome, EngineTimeoutError) for one in came]
    assert [2.0] == pytest.approx(ran, abs=0.5)
