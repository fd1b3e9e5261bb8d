"""An answer belongs to one request, whatever ended the wait for another; a child that is gone says nothing more."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from quadrat.errors import EngineRunError, SourceError, StoppedError
from quadrat.executors.child import Spent
from quadrat.executors.isolated import IsolatedExecutor, open_isolated
from quadrat.pipeline.measure import SourceDone
from quadrat.records import SourceRecord
from quadrat.types import Blob, Source
from tests import pictures
from tests.executors.test_work import work
from tests.moving import RECTANGLES, draw
from tests.networks import brightness_archive

LOG = logging.getLogger("test.isolated")
DONE = SourceDone(SourceRecord(Source("urn:a", "a"), "ok"))


class Child:
    """A pipe whose other side answers each request by `reply`; a wait is interrupted if `interrupts` is set."""

    def __init__(self, reply: Callable[[str], Any]) -> None:
        self.interrupts = False
        self.is_gone = False
        self._reply = reply
        self._answers: deque[tuple[str, int, Any]] = deque()

    def send(self, message: tuple[Any, ...]) -> None:
        """Take a request, and answer it at once."""
        number, what, *_ = message
        content = self._reply(what)
        kind = "error" if isinstance(content, Exception) else "answer"
        self._answers.append((kind, number, content))

    def poll(self, _: None) -> bool:
        """Wait for an answer; a signal may come meanwhile."""
        if self.interrupts:
            self.interrupts = False
            raise SystemExit(143)
        return True

    def recv(self) -> tuple[str, int, Any]:
        """Give the next answer."""
        if self.is_gone:
            raise EOFError
        return self._answers.popleft()


class Process:
    """A process that was killed."""

    exitcode = -signal.SIGKILL

    def join(self, _: float) -> None:
        """It has ended."""


class Feed:
    """The sources of a run, which nobody asks for here."""

    def serve(self, items: object, pull: object) -> None:
        """Take them."""


def executor_of(child: Any) -> IsolatedExecutor:
    """Make an executor of a child that is only a pipe."""
    feed: Any = Feed()
    return IsolatedExecutor(child, feed, LOG, Process())


def test_a_late_answer_is_none_to_another_request() -> None:
    """After a signal the next request gets its own answer; a record that came late is kept until the end."""
    contents: dict[str, Any] = {"facts": (), "next": DONE, "times": "times"}
    child = Child(lambda what: contents[what])
    executor = executor_of(child)
    child.interrupts = True
    with pytest.raises(SystemExit):
        executor.ask("next")

    assert "times" == executor.ask("times")
    assert [DONE] == executor.late
    assert executor.ask("next") is DONE
    assert [DONE] == executor.late, "an answer in time is not late"


def test_a_late_record_is_among_the_unfinished(tmp_path: Path) -> None:
    """It comes before what the run still gives."""
    events = deque([None])
    contents: dict[str, Callable[[], Any]] = {
        "facts": tuple, "measure": tuple, "unfinished": tuple, "next": events.popleft,
    }  # fmt: skip
    executor = executor_of(Child(lambda what: contents[what]()))
    executor.late.append(DONE)
    run = executor.measure([], lambda source: None, tmp_path)  # type: ignore[arg-type, return-value]

    assert [DONE] == list(run.unfinished(StoppedError("cut")))


def test_a_child_that_is_gone_gives_nothing_more(tmp_path: Path) -> None:
    """The error names the signal; there is nothing unfinished, and its times are the last that it gave."""
    child = Child(lambda _: ())
    executor = executor_of(child)
    run = executor.measure([], lambda source: None, tmp_path)  # type: ignore[arg-type, return-value]
    child.is_gone = True
    with pytest.raises(EngineRunError, match="the process that measures was killed by SIGKILL"):
        executor.ask("next")

    assert executor.has_died
    assert [] == list(run.unfinished(StoppedError("cut")))
    assert ([], {}, 0.0) == (list(run.stages), run.seconds, run.warm_up_s)


def test_an_error_of_the_unfinished_is_raised_while_the_child_lives(tmp_path: Path) -> None:
    """An engine that fails is no child that has died."""
    child = Child(lambda what: EngineRunError("out of memory") if what == "unfinished" else ())
    run = executor_of(child).measure([], lambda source: None, tmp_path)  # type: ignore[arg-type, return-value]

    with pytest.raises(EngineRunError, match="out of memory"):
        list(run.unfinished(StoppedError("cut")))


class OddError(Exception):
    """An error that cannot be made again from its arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def test_the_child_logs_what_the_parent_would(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Lines arrive with their level, each once."""
    archive = brightness_archive(tmp_path / "m.tgz", shape=[4, 3, -1, -1])
    with open_isolated(work(archive, batch_size=8), LOG):
        pass
    lines = [
        (each.levelname, each.getMessage()) for each in caplog.records if "batch-size 8" in each.getMessage()
    ]
    assert ["WARNING"] == [level for level, _ in lines]


def test_the_child_asks_the_parent_for_everything(tmp_path: Path) -> None:
    """Contents are released as soon as they are read, and odd errors arrive as text."""
    state: list[str] = []

    @contextmanager
    def pull(source: Source) -> Iterator[Blob]:
        if source.name == "odd":
            raise OddError("one", "two")
        if source.name == "lock":
            yield Blob(threading.Lock())  # type: ignore[arg-type]
            return
        state.append(f"+{source.name}")
        yield Blob(b"rubbish")
        state.append(f"-{source.name}")

    names = ("a", "odd", "lock", "b")
    with open_isolated(work(RECTANGLES), LOG) as executor:
        run = executor.measure([Source(f"urn:{name}", name) for name in names], pull, tmp_path)
        records = {event.record.source.name: event.record for event in run if isinstance(event, SourceDone)}

    assert ["+a", "-a", "+b", "-b"] == state
    assert ["E_IMAGE_FORMAT", "E_INTERNAL", "E_INTERNAL", "E_IMAGE_FORMAT"] == [
        records[name].faults[0].code for name in names
    ]
    assert "OddError: one and two" in records["odd"].faults[0].what
    assert "pickle" in records["lock"].faults[0].what


def test_the_times_are_those_of_the_child(tmp_path: Path) -> None:
    """Each time keeps its name on the way."""
    spent = Spent((("infer", 3, 1.0, 2.0, 4.0),), {"decode": 0.5}, 0.25)
    contents: dict[str, Any] = {"facts": (), "measure": (), "times": spent}
    run = executor_of(Child(lambda what: contents[what])).measure([], lambda source: None, tmp_path)  # type: ignore[arg-type, return-value]
    (stage,) = run.stages

    assert ("infer", 3) == (stage.name, stage.ahead)
    assert (1.0, 2.0, 4.0) == (stage.busy_s, stage.starved_s, stage.blocked_s)
    assert ({"decode": 0.5}, 0.25) == (run.seconds, run.warm_up_s)


def test_a_child_ignores_signals_and_ends_by_itself() -> None:
    """Ctrl-C reaches parent and child; the parent decides, and the child ends with its pipe."""
    with open_isolated(work(RECTANGLES), LOG) as executor:
        (child,) = [each for each in multiprocessing.active_children() if each.name == "quadrat-measure"]
        assert child.pid is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(child.pid, number)
        assert 1 == len(executor.ask("facts"))

    assert 0 == child.exitcode
    assert not [t for t in threading.enumerate() if t.name == "quadrat-feed"]


def test_a_second_run_ends_the_first(tmp_path: Path) -> None:
    """One run at a time: its errors do not reach the next run, and it takes no source of that run."""

    @contextmanager
    def gone(source: Source) -> Iterator[Blob]:
        raise SourceError("gone")
        yield

    with open_isolated(work(RECTANGLES), LOG) as executor:
        for _ in range(3):
            stream = iter(executor.measure([Source(f"urn:{n}", f"{n}") for n in range(9)], gone, tmp_path))
            first = next(stream)
            assert isinstance(first, SourceDone)
            assert "0" == first.record.source.name


def test_warm_up_is_told_by_the_child(tmp_path: Path) -> None:
    """Times of the child are those of its run."""

    @contextmanager
    def pull(_: Source) -> Iterator[Blob]:
        yield Blob(pictures.png(draw([])))

    with open_isolated(work(RECTANGLES, benchmark=True), LOG) as executor:
        run = executor.measure([Source("urn:a", "a.png", stem="a")], pull, tmp_path)
        list(run)
        assert run.warm_up_s > 0
        assert set(run.seconds) == {stage.name for stage in run.stages}


def test_a_child_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets some time to end by itself, and no more; a child that ignores signals cannot stay."""
    monkeypatch.setattr("quadrat.executors.isolated.JOIN_S", 0.2)
    with open_isolated(work(RECTANGLES), LOG):
        (child,) = [each for each in multiprocessing.active_children() if each.name == "quadrat-measure"]
        assert child.pid is not None
        os.kill(child.pid, signal.SIGSTOP)

    assert -signal.SIGKILL == child.exitcode
