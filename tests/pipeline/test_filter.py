"""Which frames are measured is decided by the media's own time, and by what was found before."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from quadrat.media.sampling import Sampling
from quadrat.parameters import FrameSettings
from quadrat.pipeline.filter import FrameFilter
from quadrat.pipeline.models import LoadedModel, Pass
from quadrat.pipeline.state import SourceState
from quadrat.predictions import Detections, Segmentation
from quadrat.types import Frame, FrameKey, Source
from tests.detectors import package
from tests.moving import RECTANGLES, draw, film, load, measured, skipped
from tests.values import settings_of

NOTHING = Detections.none()
ONE = Detections(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.zeros(1, np.int32))
MASK = Segmentation(np.zeros((1, 1), np.uint8))


def filter_of(*names: str, tasks: tuple[str, ...] = (), **settings: Any) -> FrameFilter:
    """Make the filter of models with these names: detectors, or models of other `tasks`."""
    nothing: Any = SimpleNamespace()
    loaded = []
    for name, task in zip(names, tasks or ("detect",) * len(names), strict=True):
        opened: Any = SimpleNamespace(task=task) if task != "detect" else package("boxes")
        loaded.append(LoadedModel(opened, nothing, nothing, nothing, settings_of(**settings), name))
    return FrameFilter(Pass(loaded))


def frame_at(time_s: float | None, level: int = 90) -> Frame:
    """Make a frame of one brightness."""
    return Frame(FrameKey("a", 0), (8, 8), np.full((8, 8, 3), level, np.uint8), time_s=time_s)


def video() -> SourceState:
    """Make the state of a video."""
    return SourceState.of(Source("a", "a", "video"), ("reef",))


def awake(times: list[float], idle_s: float) -> list[int]:
    """Give the numbers of the frames that are measured where nothing is ever found."""
    chosen, state = filter_of("reef", idle_seconds=idle_s), video()
    found = []
    for n, time_s in enumerate(times):
        frame = frame_at(time_s)
        if not chosen.reason(state, frame):
            found.append(n)
            chosen.sent(state, frame)
            chosen.measured(state, frame, {"reef": NOTHING})
    return found


def test_a_picture_is_always_measured() -> None:
    """Without time there is nothing to skip, however black it is."""
    chosen = filter_of("reef", skip_black=True, idle_seconds=1.0)

    assert "" == chosen.reason(video(), frame_at(None, level=0))


def test_black_comes_before_idle_and_only_on_request() -> None:
    """A black frame is black whether its source rests or not."""
    state = video()
    state.idle_until = 9.0

    assert "black" == filter_of("reef", skip_black=True, idle_seconds=1.0).reason(state, frame_at(1.0, 0))
    assert "idle" == filter_of("reef", idle_seconds=1.0).reason(state, frame_at(1.0, 0))
    assert "" == filter_of("reef").reason(video(), frame_at(1.0, 0))


@pytest.mark.parametrize(
    ("found", "rests"),
    [
        ({"a": NOTHING, "b": NOTHING}, True),
        ({"a": NOTHING, "b": ONE}, False),
        ({"a": ONE, "b": NOTHING}, False),
        ({"a": NOTHING}, False),
        ({}, False),
    ],
    ids=["none of both", "one", "the other", "one has failed", "both have failed"],
)
def test_a_source_rests_only_if_no_model_found_anything(found: dict[str, Any], rests: bool) -> None:
    """A model that could not measure the frame may have missed something."""
    chosen, state = filter_of("a", "b", idle_seconds=1.0), video()
    frame = frame_at(1.0)
    chosen.sent(state, frame)
    chosen.measured(state, frame, found)

    assert (2.0 if rests else -1.0) == state.idle_until


def test_a_mask_says_nothing_of_objects() -> None:
    """A segmentation model beside a detector neither wakes a source nor lets it rest."""
    chosen, state = filter_of("a", "s", tasks=("detect", "segment"), idle_seconds=1.0), video()
    frame = frame_at(1.0)
    for found, until in (
        ({"a": ONE, "s": MASK}, -1.0),
        ({"s": MASK}, -1.0),
        ({"a": NOTHING, "s": MASK}, 2.0),
    ):
        chosen.sent(state, frame)
        chosen.measured(state, frame, found)
        assert until == state.idle_until


def test_a_frame_waits_for_those_of_its_own_source() -> None:
    """With idle-seconds a frame is judged when the frames before it are measured; another source does not wait."""
    chosen, one, other = filter_of("reef", idle_seconds=1.0), video(), video()
    frame = frame_at(0.0)
    assert not chosen.must_wait(one, frame)
    chosen.sent(one, frame)
    assert chosen.must_wait(one, frame)
    assert not chosen.must_wait(other, frame)
    chosen.measured(one, frame, {})
    assert not chosen.must_wait(one, frame)

    never = filter_of("reef")
    never.sent(one, frame)
    assert not never.must_wait(one, frame)


@pytest.mark.parametrize("idle_s", [0.04, 0.12, 0.2, 0.4, 1.0])
@pytest.mark.parametrize(
    ("ticks", "scale"), [(3600, 90_000), (3000, 90_000), (1001, 30_000), (1, 50), (40, 1000)]
)
def test_a_source_rests_by_a_regular_pattern(idle_s: float, ticks: int, scale: int) -> None:
    """At a constant rate, where nothing is found, each n-th frame is measured, as by frame-seconds where that is exact."""
    times = [n * ticks / scale for n in range(5000)]
    step = math.ceil(round(idle_s * 1000) * scale / (1000 * ticks))
    regular = list(range(0, 5000, step))

    assert (
        regular == awake(times, idle_s) == awake([0.4 + time_s for time_s in times], idle_s)[: len(regular)]
    )
    if step * ticks * 1000 == round(idle_s * 1000) * scale:
        sampling = Sampling(FrameSettings(frame_seconds=idle_s))
        assert regular == [n for n, time_s in enumerate(times) if sampling.selects(n, time_s)]


def test_a_film_rests_by_a_regular_pattern(tmp_path: Path) -> None:
    """By the times that a file gives, too: of five frames of an empty film one is measured."""
    source = film(tmp_path / "a.mp4", [draw([], (64, 96))] * 200)
    with load(RECTANGLES) as model:
        results, _ = measured(model, [source], idle_seconds=0.2)

    assert list(range(0, 200, 5)) == [n for n, r in enumerate(results["a"]) if not r.frame.skipped]


@pytest.fixture(scope="module")
def model() -> Iterator[LoadedModel]:
    """The detector of rectangles."""
    with load(RECTANGLES) as loaded:
        yield loaded


@pytest.mark.parametrize("batch", [1, 4, 8])
def test_idle_sources_are_skipped_by_media_time(model: LoadedModel, tmp_path: Path, batch: int) -> None:
    """After a frame without objects a source rests for idle-seconds of its own time; another is not touched."""
    box = (40, 40, 90, 90)
    busy = film(tmp_path / "busy.mp4", [draw([box])] * 16)
    lazy = film(tmp_path / "lazy.mp4", [draw([] if n in (2, 3, 4, 5, 6, 12) else [box]) for n in range(16)])
    results, ends = measured(model, [busy, lazy], idle_seconds=0.2, batch_size=batch)

    assert [""] * 16 == [r.frame.skipped for r in results["busy"]]
    idle = [n for n, r in enumerate(results["lazy"]) if r.frame.skipped == "idle"]
    assert [3, 4, 5, 6, 13, 14, 15] == idle  # from 0.08 s to 0.28 s, and from 0.48 s on
    assert ({}, {"idle": 7}) == (skipped(ends["busy"]), skipped(ends["lazy"]))
