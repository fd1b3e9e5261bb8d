"""The unit of work in this process."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from quadrat import engines
from quadrat.executors.local import open_local
from quadrat.parameters import EngineSettings
from quadrat.pipeline.measure import SourceDone
from quadrat.pipeline.models import AT_ONCE
from quadrat.protocols import Engine
from quadrat.types import ModelPackage
from tests.executors.test_work import work
from tests.moving import LOG, RECTANGLES, film, pull, swim


def test_it_measures_what_it_is_given(tmp_path: Path) -> None:
    """One run after the other with the models loaded once; each has times of its own."""
    source = film(tmp_path / "a.mp4", swim(3))
    with open_local(work(RECTANGLES, moving=True), LOG) as executor:
        for _ in range(2):
            run = executor.measure([source], pull, tmp_path)
            (done,) = [event for event in run if isinstance(event, SourceDone)]
            assert ("ok", 3) == (done.record.status, done.record.models[0].measured)
            assert {"decode", "infer", "encode"} <= {stage.name for stage in run.stages} == set(run.seconds)
            assert 0 == run.warm_up_s


@pytest.mark.parametrize(
    ("moving", "idle", "at_once", "tracker"),
    [(True, 0.0, AT_ONCE, "bytetrack"), (True, 1.0, 1, "bytetrack"), (False, 0.0, 1, None)],
)
def test_models_are_loaded_for_what_is_measured(
    monkeypatch: pytest.MonkeyPatch, moving: bool, idle: float, at_once: int, tracker: str | None
) -> None:
    """A stream of frames is measured side by side, and only what moves is tracked."""
    asked: list[int] = []
    start = engines.start

    def started(
        package: ModelPackage,
        settings: EngineSettings,
        log: logging.Logger,
        count: int,
        *how: Any,
        **more: Any,
    ) -> Engine:
        asked.append(count)
        return start(package, settings, log, count, *how, **more)

    monkeypatch.setattr(engines, "start", started)
    with open_local(work(RECTANGLES, moving=moving, idle_seconds=idle), LOG) as executor:
        (facts,) = executor.facts

    assert [at_once] == asked
    assert tracker == facts.in_force["tracker"]
