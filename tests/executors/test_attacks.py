"""A child process that does not answer, is late, or gets the signals of a terminal ends no order badly."""

from __future__ import annotations

import csv
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from quadrat.errors import SourceError
from quadrat.executors import isolated
from quadrat.executors.isolated import open_isolated
from quadrat.pipeline.measure import SourceDone
from tests.executors.orders import photos
from tests.executors.test_isolated import children
from tests.executors.test_work import work
from tests.moving import LOG, RECTANGLES, order, pull


def test_a_child_that_no_longer_answers_is_killed_once_the_run_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records are lost, but the order ends."""
    monkeypatch.setattr(isolated, "END_S", 0.05)
    with open_isolated(work(RECTANGLES, moving=False), LOG) as executor:
        run = executor.measure([], pull, tmp_path)
        (child,) = children()
        os.kill(child.pid, signal.SIGSTOP)

        assert [] == list(run.unfinished(SourceError("cut")))
        assert executor.has_died


def test_a_terminals_signal_at_the_start_does_not_reach_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl+C goes to every process of a group: the child leaves it to its parent from its first instruction."""
    begin = isolated.start

    def interrupted(process: Any) -> None:
        begin(process)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(process.pid, number)

    monkeypatch.setattr(isolated, "start", interrupted)
    ran = order(RECTANGLES, photos(tmp_path / "in"), tmp_path / "out", moving=False, executor="isolated")

    assert (0, []) == (ran.status, list(ran.errors))


def test_a_signal_at_the_start_leaves_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipe is closed even if the signal comes before anything is asked of the child."""
    begin = isolated.start

    def interrupted(process: Any) -> None:
        begin(process)
        raise SystemExit(143)

    monkeypatch.setattr(isolated, "start", interrupted)
    with pytest.raises(SystemExit), open_isolated(work(RECTANGLES, moving=False), LOG):
        pass

    assert not children()


def test_a_record_that_came_late_is_its_sources_only_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A signal between the last product and the record: the source is measured, not 'not-reached' as well."""
    ask = isolated.IsolatedExecutor.ask

    def interrupted(self: isolated.IsolatedExecutor, what: str, *details: object) -> Any:
        answer = ask(self, what, *details)
        if isinstance(answer, SourceDone) and answer.record.products and not self.late:
            self.late.append(answer)
            raise SystemExit(143)
        return answer

    monkeypatch.setattr(isolated.IsolatedExecutor, "ask", interrupted)
    with pytest.raises(SystemExit), caplog.at_level(logging.WARNING):
        order(RECTANGLES, photos(tmp_path / "in"), tmp_path / "out", moving=False, executor="isolated")

    with (tmp_path / "out" / "survey.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["name"] == "0.png"]

    assert {"ok"} == {row["status"] for row in rows}
    assert not [record for record in caplog.records if "in part" in record.getMessage()]
