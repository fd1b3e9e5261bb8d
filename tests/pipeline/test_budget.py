"""The bytes of the frames in flight are limited over all stages and sources, and no limit stops a run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat.parameters import parse
from quadrat.pipeline import budget
from quadrat.pipeline.budget import FILES_BESIDE, FrameBudget, files_at_once
from quadrat.pipeline.models import LoadedModel, Pass, load_models
from quadrat.pipeline.state import SourceState
from quadrat.types import Source
from tests.enhancers import enlarger_archive
from tests.moving import LOG, RECTANGLES, closed, film, load, measured, objects, swim


@pytest.fixture(scope="module")
def model() -> Iterator[LoadedModel]:
    """The example's detector."""
    with load(RECTANGLES) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    """Four videos of different lengths."""
    folder = tmp_path_factory.mktemp("films")
    return [film(folder / f"{n}.mp4", swim(6 + 3 * n, y=20 + 10 * n, step=2)) for n in range(4)]


@pytest.mark.parametrize("most", [1, 500_000, 2_000_000])
@pytest.mark.parametrize(
    "how", [{}, {"batch_size": 4}, {"tracker": "none"}, {"min_hits": 5, "idle_seconds": 0.1}]
)
def test_a_limit_changes_no_result_and_stops_no_run(
    model: LoadedModel, films: list[Source], tmp_path: Path, most: int, how: Any
) -> None:
    """However little room there is, every frame is measured and drawn as without a limit."""
    (tmp_path / "a").mkdir()
    wanted, _ = measured(model, films, videos=tmp_path / "a", **how)
    (tmp_path / "b").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "BUDGET_BYTES", most)
        found, ends = measured(model, films, videos=tmp_path / "b", **how)
    assert list(found) == list(wanted)
    for urn, results in wanted.items():
        assert [each.frame.key for each in results] == [each.frame.key for each in found[urn]]
        for one, other in zip(results, found[urn], strict=True):
            if one.predictions:
                np.testing.assert_array_equal(objects(one).boxes, objects(other).boxes)
                np.testing.assert_array_equal(objects(one).tracks, objects(other).tracks)
        assert closed(ends[urn]).faults == ()


def test_frames_in_flight_are_limited(
    model: LoadedModel, films: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more frames are in flight than there is room for, or than the stages may hold back of each open video."""
    used: list[int] = []
    add = FrameBudget.add

    def counted(self: FrameBudget, *given: Any) -> None:
        add(self, *given)
        used.append(self._used)

    monkeypatch.setattr(FrameBudget, "add", counted)
    frame = 144 * 192 * 3 * 2
    for most in (frame * 12, 10 * frame * 12):
        used.clear()
        monkeypatch.setattr(budget, "BUDGET_BYTES", most)
        measured(model, films, videos=tmp_path, sources_at_once=4)
        assert 0 < max(used) <= max(most, 4 * 5 * frame)


def test_large_videos_are_opened_one_after_the_other(model: LoadedModel) -> None:
    """Videos of 8K are not read side by side, those of ordinary size are."""
    limit = FrameBudget(Pass([model]))
    assert limit.has_room([])
    assert not limit.has_room([(4320, 7680)])
    assert limit.has_room([(1080, 1920)] * 3)
    assert limit.has_room([(2160, 3840)] * 2)


def test_a_reader_that_is_stopped_does_not_wait(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for room ends when the run is stopped."""
    monkeypatch.setattr(budget, "BUDGET_BYTES", 1)
    limit, stop, waiting = FrameBudget(Pass([model])), threading.Event(), threading.Event()
    state = SourceState.of(Source("urn:a", "a", "video"), ("m",))
    for _ in range(limit.least):
        limit.add(state, (10, 10), stop, waiting)
    stopper = threading.Thread(target=lambda: waiting.wait(10) and stop.set())
    stopper.start()
    limit.add(state, (10, 10), stop, waiting)
    stopper.join(10)
    assert stop.is_set()


def test_no_more_videos_are_open_than_the_process_may_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Under a low limit of open files, fewer videos are read at once, and a line says so."""
    monkeypatch.setattr(budget, "_most_files", lambda: 64)
    with caplog.at_level(logging.WARNING, logger="quadrat"):
        at_once = files_at_once(256)
    assert 1 <= at_once <= (64 - FILES_BESIDE) // budget.FILES_PER_SOURCE
    assert "64 files" in caplog.text
    caplog.clear()
    monkeypatch.setattr(budget, "_most_files", lambda: 100_000)
    assert files_at_once(256) == 256
    monkeypatch.setattr(budget, "_most_files", lambda: None)
    assert files_at_once(256) == 256
    assert caplog.text == ""


def test_variants_of_a_frame_count(tmp_path: Path) -> None:
    """Each variant with steps is another frame in memory; a network that enlarges makes larger ones."""
    hw = (100, 200)
    with (
        compared(outputs="none") as alone,
        compared(outputs="none", compare="clahe,grey-world") as three,
    ):
        assert FrameBudget(three).frame_bytes(hw) == 3 * FrameBudget(alone).frame_bytes(hw)
    with load_models([enlarger_archive(tmp_path / "sr.tgz")], parse({"executor": "local"}), LOG) as larger:
        assert FrameBudget(larger).frame_bytes(hw) == 3 * 100 * 200 * (1 + 4 + 4)


def compared(**values: Any) -> AbstractContextManager[Pass]:
    """Load the example's detector in several variants."""
    return load_models([RECTANGLES], parse({"executor": "local", **values}), LOG)
