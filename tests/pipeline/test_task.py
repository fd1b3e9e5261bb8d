"""Parts reach their folds in any order; a frame that fails is counted, and takes nothing from its neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quadrat.errors import ClassesError, EngineRunError
from quadrat.pipeline.batches import Batches
from quadrat.pipeline.events import DecodedFrame, MeasuredFrame, PartResult
from quadrat.pipeline.filter import FrameFilter
from quadrat.pipeline.models import LoadedModel, Pass, load_models
from quadrat.pipeline.prepare import prepare
from quadrat.pipeline.state import SourceState
from quadrat.pipeline.task import TaskStage
from quadrat.predictions import Detections, Enhanced, Segmentation
from quadrat.types import Failure, Flush, Frame, FrameKey, Result, Source
from tests.moving import (
    LOG,
    RECTANGLES,
    Pixels,
    boxes_of,
    codes,
    draw,
    film,
    load,
    measured,
    skipped,
    swim,
    watched,
    with_settings,
)
from tests.networks import brightness_archive
from tests.values import settings_of

MARK = 12
"""Side of the white corner of a frame that the engine fails on."""
NAMES = ("rectangles", "tiny")


@pytest.fixture(scope="module", params=[1, 2])
def model(request: pytest.FixtureRequest) -> Iterator[LoadedModel]:
    """The detector of rectangles, one run of it at a time, and two."""
    with load(RECTANGLES, throughput=request.param > 1) as loaded:
        if loaded.at_once != request.param:
            pytest.skip("the network has one thread here")
        yield loaded


def marked(pixels: Pixels, corner: tuple[int, int]) -> Pixels:
    """Give a copy with one corner, 0 or -1 for each axis, white."""
    rows, columns = (slice(-MARK, None) if end else slice(MARK) for end in corner)
    copy = pixels.copy()
    copy[rows, columns] = 255
    return copy


def fails_on_white(batch: NDArray[np.float32]) -> None:
    """Raise for inputs that have white in them."""
    if (batch.min(axis=1) > 0.9).any():
        raise EngineRunError("white")


@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, -1)])
def test_a_frame_of_which_a_tile_fails_fails_alone(
    model: LoadedModel, tmp_path: Path, corner: tuple[int, int]
) -> None:
    """Be it the first tile, one in the middle or the last one: no box goes to another frame, tile or video."""
    a, b = swim(6), swim(6, y=60)
    a[3] = marked(a[3], corner)
    films = [film(tmp_path / "a.mp4", a), film(tmp_path / "b.mp4", b)]
    failing = watched(model, fails_on_white)
    results, ends = measured(failing, films, tile_size=80, tile_overlap=40, batch_size=7)

    assert ["", "", "", "failed", "", ""] == [r.frame.skipped for r in results["a"]]
    for name, top in (("a", 40), ("b", 60)):
        found = {r.frame.key.index: boxes_of(r) for r in results[name] if not r.frame.skipped}
        there = [n for n in range(6) if name == "b" or n != 3]
        assert {n: [(8 + 4 * n, top, 48 + 4 * n, top + 40)] for n in there} == found
    assert ({"failed": 1}, {}) == (skipped(ends["a"]), skipped(ends["b"]))
    assert (["E_ENGINE_RUN"], []) == (codes(ends["a"]), codes(ends["b"]))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pass]:
    """A detector and a segmentation model, both in tiles."""
    archive = brightness_archive(tmp_path_factory.mktemp("model") / "m.tgz")
    tiled = settings_of(tile_size=80, tile_overlap=20)
    with load_models([RECTANGLES, archive], tiled, LOG) as loaded:
        assert NAMES == loaded.names
        yield loaded


def taken(count: int, media: Any = "video") -> list[DecodedFrame]:
    """Make frames of one source: a fish at another place in each, over a ground of another brightness."""
    state = SourceState.of(Source("urn:v", "v", media), NAMES)
    frames = []
    for n in range(count):
        pixels = draw([(10 + 20 * n, 30, 50 + 20 * n, 70)])
        pixels[:40] = 60 * n + 40
        time_s = None if media == "image" else n / 25
        frames.append(DecodedFrame(state, Frame(FrameKey("urn:v", n), (144, 192), pixels, time_s=time_s)))
    return frames


def parts(models: Pass, frames: Sequence[DecodedFrame]) -> list[PartResult]:
    """Give what the networks make of all parts of all frames, in order."""
    stream: Iterator[Any] = prepare(models, FrameFilter(models), iter(frames))
    for each in models.values():
        stream = Batches(each)(stream)
    return list(stream)


def finished(models: Pass, items: Sequence[Any]) -> list[Any]:
    """Give what the stage makes of parts."""
    return list(TaskStage(models, FrameFilter(models))(iter(items)))


def content(item: MeasuredFrame) -> tuple[bytes, ...]:
    """Give the bytes of all predictions of a frame."""
    objects, masks = (item.result.predictions[name] for name in NAMES)
    assert isinstance(objects, Detections)
    assert isinstance(masks, Segmentation)
    assert masks.confidence is not None
    arrays = (objects.boxes, objects.scores, objects.classes, masks.labels, masks.confidence)
    return tuple(array.tobytes() for array in arrays)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_parts_of_models_and_frames_may_come_in_any_order(models: Pass, data: st.DataObject) -> None:
    """Law: parts of two models and of two frames interleave arbitrarily, and give the same predictions."""
    expected = {m.result.frame.key.index: content(m) for m in finished(models, parts(models, taken(2)))}
    shuffled = data.draw(st.permutations(parts(models, taken(2))))
    found = finished(models, [*shuffled, Flush()])

    assert {0, 1} == set(expected)
    assert expected == {m.result.frame.key.index: content(m) for m in found}
    assert [2, 2] == [each.measured for each in found[0].state.models.values()]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_failed_part_costs_its_frame_and_model_alone(models: Pass, data: st.DataObject) -> None:
    """Law: wherever a part fails and in whatever order, the other frame and the other model lose nothing."""
    ran = parts(models, taken(2))
    expected = {m.result.frame.key.index: content(m) for m in finished(models, parts(models, taken(2)))}
    place = data.draw(st.integers(0, len(ran) - 1))
    bad = ran[place]
    ran[place] = replace(bad, outcome=EngineRunError("no"))
    found = finished(models, data.draw(st.permutations(ran)))

    for item in found:
        whole = item.result.frame.key.index != bad.frame.frame.key.index
        assert ("" if whole else "no") == "".join(error.what for error in item.result.faults.values())
        assert set(item.result.predictions) == set(NAMES) - (set() if whole else {bad.model})
        assert not item.result.frame.skipped
        if whole:
            assert content(item) == expected[item.result.frame.key.index]
    state = found[0].state.models[bad.model]
    assert (1, {"failed": 1}, "v: no") == (state.measured, dict(state.skipped), str(state.failed))


def test_a_picture_is_a_failure_only_if_no_model_can_measure_it(models: Pass) -> None:
    """With one prediction it is a result with the other's error; with none a failure with the first one's."""
    for failing in ((), NAMES[:1], NAMES):
        ran = parts(models, taken(1, "image"))
        changed = [replace(r, outcome=EngineRunError(r.model)) if r.model in failing else r for r in ran]
        (item,) = finished(models, changed)
        if failing == NAMES:
            assert isinstance(item, Failure)
            assert ("infer", "v: rectangles") == (item.stage, str(item.error))
            assert ["v: tiny"] == [str(error) for error in item.others]
        else:
            assert set(NAMES) - set(failing) == set(item.result.predictions)
            assert {name: f"v: {name}" for name in failing} == {
                name: str(error) for name, error in item.result.faults.items()
            }


def test_a_fault_of_the_model_is_raised(models: Pass, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a task raises for one picture is the picture's; anything else ends the run."""
    for error in (ClassesError("a label outside the classes"), ZeroDivisionError("odd")):
        ran = parts(models, taken(1))

        def broken(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(ran[0].frame.folds["tiny"], "finish", broken, raising=False)
        with pytest.raises(type(error)):
            finished(models, ran)


def test_the_first_incomplete_prediction_is_kept(tmp_path: Path) -> None:
    """Frames after it that are whole do not make the video so."""
    many = [(10 + 30 * n, 60, 30 + 30 * n, 80) for n in range(5)]
    source = film(tmp_path / "many.mp4", [draw(many if n == 1 else many[:3]) for n in range(4)])
    with load(RECTANGLES) as model:
        _, ends = measured(model, [source], max_detections=3)

    assert ["E_TOO_MANY"] == codes(ends["many"])


def test_the_error_of_the_first_failed_frame_is_kept(models: Pass) -> None:
    """Later frames that fail are counted, and their errors are not."""
    ran = [
        replace(each, outcome=EngineRunError(f"frame {each.frame.frame.key.index}"))
        if each.model == "tiny" and each.frame.frame.key.index > 0
        else each
        for each in parts(models, taken(3))
    ]
    found = finished(models, ran)

    state = found[0].state.models["tiny"]
    assert (1, {"failed": 2}, "v: frame 1") == (state.measured, dict(state.skipped), str(state.failed))


def test_a_skipped_frame_is_counted_for_every_model(models: Pass) -> None:
    """It passes as it is; a Flush ends here, and all else passes."""
    state, other = SourceState.of(Source("urn:v", "v", "video"), NAMES), object()
    frame = replace(taken(1)[0].frame, skipped="black")
    black = MeasuredFrame(state, Result(state.source, frame, {}))
    came = finished(models, [black, Flush(), other, black])

    assert [black, other, black] == came
    assert [{"black": 2}] * 2 == [dict(each.skipped) for each in state.models.values()]


def test_a_measured_frame_is_no_longer_under_way(models: Pass) -> None:
    """With idle-seconds the next frame of its source waits for that."""
    rests = Pass([with_settings(model, settings_of(idle_seconds=1.0)) for model in models.values()])
    chosen, (item,) = FrameFilter(rests), taken(1)
    stream: Iterator[Any] = prepare(rests, chosen, iter([item]))
    for each in rests.values():
        stream = Batches(each)(stream)
    ran = list(stream)
    assert chosen.must_wait(item.state, item.frame)
    list(TaskStage(rests, chosen)(iter(ran)))
    assert not chosen.must_wait(item.state, item.frame)


class Mirrored:
    """A fold without parts, as tasks without a network have: the mirrored frame."""

    windows = ()

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def finish(self) -> Enhanced:
        """Return the frame, mirrored."""
        return Enhanced(self._frame.pixels[:, ::-1])


@pytest.mark.parametrize("alone", [True, False])
def test_a_frame_without_parts_is_finished_at_once(
    models: Pass, monkeypatch: pytest.MonkeyPatch, *, alone: bool
) -> None:
    """A task may need no network, alone or beside one that does."""
    for name in NAMES if alone else NAMES[:1]:
        monkeypatch.setattr(models[name].task, "start", Mirrored)
    pixels = draw([(20, 30, 80, 90)], (96, 128))
    frame, state = Frame(FrameKey("a"), (96, 128), pixels), SourceState.of(Source("a", "a.png"), NAMES)
    frames = FrameFilter(models)
    stream: Iterator[Any] = prepare(models, frames, iter([DecodedFrame(state, frame)] * 3))
    for each in models.values():
        stream = Batches(each)(stream)

    results = [item.result for item in TaskStage(models, frames)(stream)]

    assert len(results) == 3
    for result in results:
        assert (result.predictions[NAMES[0]].pixels == pixels[:, ::-1]).all()
        assert isinstance(result.predictions[NAMES[1]], Enhanced if alone else Segmentation)
