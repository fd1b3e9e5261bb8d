"""The unit of work in this process."""

from __future__ import annotations

from pathlib import Path

from quadrat.executors.local import open_local
from quadrat.pipeline.measure import SourceDone
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
