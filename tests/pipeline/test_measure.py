"""The unit of work gives products and records, and all of them can be pickled."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat.errors import EngineRunError, NotAnImageError, SourceError, StoppedError
from quadrat.pipeline.facts import facts_of
from quadrat.pipeline.measure import (
    FrameDone,
    ProductMade,
    SourceDone,
    SourceMeasurement,
    failed_record,
    not_reached_record,
)
from quadrat.pipeline.models import LoadedModel, Pass, load_models
from quadrat.records import SourceRecord
from quadrat.types import Failure, Source, SourceOpened, StoreItem
from tests import pictures
from tests.moving import LOG, RECTANGLES, draw, film, pull, swim, watched, with_settings
from tests.networks import brightness_archive
from tests.values import settings_of
from tests.waiting import wait_until

NAMES = ("rectangles", "tiny")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pass]:
    """A detector and a segmentation model."""
    archive = brightness_archive(tmp_path_factory.mktemp("model") / "m.tgz")
    with load_models([RECTANGLES, archive], settings_of(), LOG) as loaded:
        yield loaded


def changed(models: Pass, each: Any = None, **settings: Any) -> Pass:
    """Give the models with other settings; `each` is called with every batch of the second one."""
    given: list[LoadedModel] = [with_settings(model, settings_of(**settings)) for model in models.values()]
    return Pass(given if each is None else [given[0], watched(given[1], each)])


def measuring(
    models: Pass, items: list[StoreItem], folder: Path, *, moving: bool = False
) -> SourceMeasurement:
    """Make the unit of work."""
    facts = facts_of(models, "urn:order", [f"urn:{name}" for name in models], moving=moving)
    return SourceMeasurement(models, facts, items, pull, folder, moving=moving)


def photo(folder: Path, name: str = "a") -> Source:
    """Write a picture with one fish."""
    path = folder / f"{name}.png"
    path.write_bytes(pictures.png(draw([(20, 30, 80, 90)])))
    return Source(f"urn:{name}", path.name, token=str(path), stem=name)


def video(folder: Path, name: str = "v") -> Source:
    """Write a video of six frames with one fish."""
    made = film(folder / f"{name}.mp4", swim(6))
    return Source(made.urn, made.name, made.media, made.token, name)


def record_of(events: list[Any]) -> SourceRecord:
    """Give the only record."""
    (done,) = [event for event in events if isinstance(event, SourceDone)]
    return done.record


def names(events: list[Any]) -> list[str]:
    """Name the products."""
    return [event.product.name for event in events if isinstance(event, ProductMade)]


def test_a_picture_gives_its_products_and_then_its_record(models: Pass, tmp_path: Path) -> None:
    """The record names what was delivered, and has a part for each model; nothing of it is a pixel."""
    source = photo(tmp_path)
    events = list(measuring(models, [source], tmp_path))
    record = record_of(events)

    made = ["a.rectangles.annotated.jpg", "a.tiny.pseudo.png", "a.joined.jpg"]
    assert made == names(events) == list(record.products)
    assert isinstance(events[-1], SourceDone)
    assert ("ok", (), source) == (record.status, record.faults, record.source)
    assert NAMES == tuple(part.model for part in record.models)
    assert [(144, 192)] * 2 == [part.size for part in record.models]
    assert record.image is not None
    assert (144, 192) == record.image.working_hw
    assert 64 == len(record.image.digest)
    assert len(pickle.dumps(record)) < 10_000


def test_a_video_gives_its_frames_its_products_and_its_record(models: Pass, tmp_path: Path) -> None:
    """SourceStart, a sign of life for each frame, the products of both models, the record; annotated files are gone after."""
    source = video(tmp_path)
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    bodies, events = {}, []
    for event in measuring(models, [source], drawn, moving=True):
        events.append(event)
        if isinstance(event, ProductMade):
            body = event.product.body
            bodies[event.product.name] = body.read_bytes() if isinstance(body, Path) else body
    record = record_of(events)

    assert isinstance(events[0], SourceOpened)
    assert [(False, False)] * 6 == [(e.skipped, e.shrunk) for e in events if isinstance(e, FrameDone)]
    expected = ["v.rectangles.mp4", "v.rectangles.mot.txt", "v.tiny.mp4", "v.tiny.cover.csv"]
    assert expected == names(events) == list(record.products) == list(bodies)
    assert all(bodies.values())
    assert [6, 6] == [part.measured for part in record.models]
    assert record.reading is not None
    assert 6 == record.reading.read
    assert [] == list(drawn.glob("*.mp4"))


@pytest.mark.parametrize("moving", [False, True])
def test_all_that_is_yielded_can_be_pickled(models: Pass, tmp_path: Path, moving: bool) -> None:
    """An executor may send every event to another process."""
    source = video(tmp_path) if moving else photo(tmp_path)
    for event in measuring(models, [source], tmp_path, moving=moving):
        copy = pickle.loads(pickle.dumps(event))
        assert type(copy) is type(event)
        if isinstance(event, SourceDone):
            assert (event.record.status, event.record.products) == (copy.record.status, copy.record.products)


@pytest.mark.parametrize("moving", [False, True])
def test_a_model_that_fails_leaves_the_other_ones_results(models: Pass, tmp_path: Path, moving: bool) -> None:
    """The source is partial, with the failing model's code; the other model's products are there."""

    def fail(_: Any) -> None:
        raise EngineRunError("out of memory")

    source = video(tmp_path) if moving else photo(tmp_path)
    record = record_of(list(measuring(changed(models, fail), [source], tmp_path, moving=moving)))

    assert ("partial", ["E_ENGINE_RUN"]) == (record.status, [fault.code for fault in record.faults])
    good, bad = record.models
    assert ((), ["E_ENGINE_RUN"]) == (good.faults, [fault.code for fault in bad.faults])
    assert (6 if moving else 1, 0) == (good.measured, bad.measured)
    assert ({}, {"failed": 6} if moving else {}) == (good.skipped, bad.skipped)
    assert any("rectangles" in name for name in record.products)
    assert moving or not any("tiny" in name for name in record.products)


def test_a_source_of_which_no_model_measures_anything_has_failed(models: Pass, tmp_path: Path) -> None:
    """It has a record with the error, and no product."""

    def fail(_: Any) -> None:
        raise EngineRunError("out of memory")

    broken = Pass([watched(model, fail) for model in models.values()])
    events = list(measuring(broken, [photo(tmp_path)], tmp_path))

    assert ("failed", ["E_ENGINE_RUN"], ()) == (
        record_of(events).status,
        [fault.code for fault in record_of(events).faults],
        record_of(events).products,
    )


@pytest.mark.parametrize("count", [1, 4])
def test_a_video_of_black_frames_is_skipped_with_the_reason(models: Pass, tmp_path: Path, count: int) -> None:
    """Nothing is wrong with it, and nothing was measured."""
    made = film(tmp_path / "dark.mp4", [np.zeros((144, 192, 3), np.uint8)] * count)
    source = Source(made.urn, made.name, made.media, made.token, "dark")
    events = list(measuring(changed(models, skip_black=True), [source], tmp_path, moving=True))
    record = record_of(events)

    reason = f"no frame was measured: {count} black"
    assert ("skipped", (), reason) == (record.status, record.faults, record.reason)
    assert [{"black": count}] * 2 == [part.skipped for part in record.models]


def test_a_run_that_ends_in_the_middle_gives_what_there_is(models: Pass, tmp_path: Path) -> None:
    """The frames so far are in the products of each open source, whose record is partial with the reason."""
    source = video(tmp_path)
    run = measuring(models, [source], tmp_path, moving=True)
    stream = iter(run)
    count = 0
    while count < 3:
        count += isinstance(next(stream), FrameDone)
    stream.close()
    events = list(run.unfinished(StoppedError("interrupted")))
    record = record_of(events)

    assert ("partial", ["E_STOPPED"]) == (record.status, [fault.code for fault in record.faults])
    assert ["v.rectangles.mp4", "v.rectangles.mot.txt", "v.tiny.mp4", "v.tiny.cover.csv"] == names(events)
    columns = record.models[0].columns
    assert [0, 1, 2] == [frame.index for frame in columns.frames()]
    assert [] == list(run.unfinished(StoppedError("interrupted")))


def test_frames_that_are_lost_on_their_way_are_not_counted(models: Pass, tmp_path: Path) -> None:
    """Law: at an early end the record counts the frames that the tables have, though the network measured more."""
    source = video(tmp_path)
    run = measuring(changed(models, skip_black=True), [source], tmp_path, moving=True)
    stream = iter(run)
    while not isinstance(next(stream), FrameDone):
        pass
    wait_until(lambda: next(s for s in run.stages if s.name == "task").blocked_s > 0, "a frame on its way")
    stream.close()
    record = record_of(list(run.unfinished(StoppedError("interrupted"))))

    frames = list(record.models[0].columns.frames())
    assert [(len(frames), {})] * 2 == [(part.measured, part.skipped) for part in record.models]


@pytest.mark.parametrize(
    ("error", "status"), [(SourceError("gone"), "failed"), (NotAnImageError("a text"), "skipped")]
)
def test_a_failure_becomes_a_record(error: Any, status: str) -> None:
    """What is not of the kind that is measured is skipped; all else has failed."""
    record = failed_record(Failure(Source("urn:x", "x"), "list", error))

    assert (status, (error,), None, None) == (record.status, record.faults, record.image, record.reading)


def test_what_was_not_reached_has_a_reason() -> None:
    """It is no error of the source."""
    record = not_reached_record(Source("urn:x", "x"), "the order ended before it")

    assert ("not-reached", (), "the order ended before it") == (record.status, record.faults, record.reason)


def test_a_picture_that_was_shrunk_is_marked(models: Pass, tmp_path: Path) -> None:
    """One model that measures it smaller is enough."""
    path = tmp_path / "big.png"
    path.write_bytes(pictures.png(np.full((1100, 1000, 3), 90, np.uint8)))
    big = Source("urn:big", "big.png", token=str(path), stem="big")
    (done,) = [e for e in measuring(models, [big], tmp_path) if isinstance(e, SourceDone)]
    (other,) = [e for e in measuring(models, [photo(tmp_path)], tmp_path) if isinstance(e, SourceDone)]

    assert (True, False) == (done.shrunk, other.shrunk)


def test_a_video_that_ends_before_its_first_frame_has_its_error_alone(models: Pass, tmp_path: Path) -> None:
    """The error says why nothing was measured, so that there is no second reason."""
    run = measuring(models, [video(tmp_path)], tmp_path, moving=True)
    stream = iter(run)
    assert isinstance(next(stream), SourceOpened)
    stream.close()
    record = record_of(list(run.unfinished(StoppedError("interrupted"))))

    assert ("partial", ["E_STOPPED"], "") == (
        record.status,
        [fault.code for fault in record.faults],
        record.reason,
    )
    assert [0, 0] == [part.measured for part in record.models]


@pytest.mark.parametrize(("texts", "count"), [(("no memory", "no memory"), 1), (("no memory", "no time"), 2)])
def test_errors_of_several_models_are_listed_once_each(
    models: Pass, tmp_path: Path, texts: tuple[str, str], count: int
) -> None:
    """Equal lines are one fault; two different ones of one code are two."""

    def failing(text: str) -> Any:
        def fail(_: Any) -> None:
            raise EngineRunError(text)

        return fail

    good, bad = models.values()
    broken = [watched(replace(bad, name=text[-1] + str(n)), failing(text)) for n, text in enumerate(texts)]
    record = record_of(list(measuring(Pass([good, *broken]), [photo(tmp_path)], tmp_path)))

    assert ["E_ENGINE_RUN"] * count == [fault.code for fault in record.faults]
    assert ("partial", 3) == (record.status, len(record.models))
