"""An order that ends in the middle has one row for each source."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quadrat import job
from quadrat.errors import DeliveryError, QuadratError
from quadrat.executors.local import LocalExecutor, open_local
from quadrat.pipeline.measure import Event, SourceDone, SourceMeasurement
from quadrat.stores.folder import FolderStore
from quadrat.types import Product
from tests.executors.orders import dives, photos
from tests.moving import LOG, RECTANGLES, TABLES, order
from tests.values import settings_of


class Late(SourceMeasurement):
    """A run interrupted in its wait for a record, which comes all the same: as from a child process."""

    late: Event | None = None

    def __iter__(self) -> Generator[Event, None, None]:
        """Lose the first record of a measured picture."""
        for event in super().__iter__():
            if isinstance(event, SourceDone) and event.record.products:
                self.late = event
                raise QuadratError("interrupted")
            yield event

    def unfinished(self, error: QuadratError) -> Iterator[Event]:
        """Give it."""
        if self.late is not None:
            yield self.late
        yield from super().unfinished(error)


def test_a_record_that_comes_late_is_the_only_row_of_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source whose products were delivered when the order ended is not a row for its delivery and one for its record."""

    @contextmanager
    def opened(work: Any, log: Any) -> Iterator[LocalExecutor]:
        with open_local(work, log) as executor:

            def measure(items: Any, pull: Any, folder: Path) -> SourceMeasurement:
                return Late(executor._models, executor.facts, items, pull, folder, moving=False)

            monkeypatch.setattr(executor, "measure", measure)
            yield executor

    monkeypatch.setattr(job, "open_executor", opened)
    ran = order(RECTANGLES, photos(tmp_path / "in"), tmp_path / "out", moving=False)

    names = [(row["name"], row["class"]) for row in ran.rows]
    assert len(names) == len(set(names))
    assert "flagged" == ran.row("0.png")["status"]
    assert not [line for line in ran.warnings if "in part" in line], (
        "a source that is whole is not called partial"
    )


PICTURE_TABLES = tuple(name for name in TABLES if name != "tracks.csv")


class Interrupting(FolderStore):
    """A store during whose delivery of a table the process gets a signal, or refuses it."""

    at = ""
    refuses = False
    moment = "before"

    def deliver(self, product: Product) -> str:
        """Deliver, and be interrupted."""
        if product.name != self.at:
            return super().deliver(product)
        if self.refuses:
            raise DeliveryError("the disk is full", where=product.name)
        if self.moment == "before":
            os.kill(os.getpid(), signal.SIGTERM)
        urn = super().deliver(product)
        if self.moment == "after":
            os.kill(os.getpid(), signal.SIGTERM)
        return urn


@contextmanager
def exiting() -> Iterator[None]:
    """Answer SIGTERM as the service does: exit once, and ignore it from then on."""

    def leave(number: int, _frame: Any) -> None:
        signal.signal(number, lambda *_: None)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("at", [*PICTURE_TABLES, "run.json"])
def test_a_signal_after_the_last_picture_loses_no_table(tmp_path: Path, at: str, moment: str) -> None:
    """Whichever table is being delivered: all come, and then the process leaves."""
    store = Interrupting(RECTANGLES, photos(tmp_path / "in"), tmp_path / "out")
    store.at, store.moment = at, moment
    with exiting(), pytest.raises(SystemExit):
        job.run_order(settings_of(), store, LOG)
    undisturbed = order(RECTANGLES, tmp_path / "in", tmp_path / "whole", moving=False)

    for name in PICTURE_TABLES:
        assert (tmp_path / "out" / name).read_bytes() == undisturbed.body(name)
    assert (tmp_path / "out" / "run.json").exists()


@pytest.mark.parametrize("when", ["products", "finish", "conclude"])
def test_a_signal_between_two_steps_loses_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """While the tables are made, and just before and after."""

    def interrupting(call: Any) -> Any:
        def called(*given: Any, **named: Any) -> Any:
            os.kill(os.getpid(), signal.SIGTERM)
            return call(*given, **named)

        return called

    target = {
        "products": (job.OrderReport, "products"),
        "finish": (job.Order, "_deliver_tables"),
        "conclude": (job.FailurePolicy, "conclude"),
    }[when]
    monkeypatch.setattr(*target, interrupting(getattr(*target)))
    store = FolderStore(RECTANGLES, photos(tmp_path / "in"), tmp_path / "out")
    with exiting(), pytest.raises(SystemExit):
        job.run_order(settings_of(), store, LOG)

    for name in (*PICTURE_TABLES, "run.json"):
        assert (tmp_path / "out" / name).exists(), name


@pytest.mark.parametrize("at", [*TABLES, "run.json", "annotated/3.annotated.jpg"])
def test_a_product_that_is_refused_takes_no_other_with_it(tmp_path: Path, at: str) -> None:
    """There is room for the survey and not for detections.jsonl, or for neither: the others are there."""
    moving = not at.endswith(".jpg")
    store = Interrupting(
        RECTANGLES, (dives if moving else photos)(tmp_path / "in"), tmp_path / "out", moving=moving
    )
    store.at, store.refuses = at, True
    outcome = job.run_order(settings_of(), store, LOG)

    assert 6 == outcome.exit_status
    of_images = {"images.csv", "totals.csv"} if not moving else set()
    tables = {*(TABLES if moving else PICTURE_TABLES), "run.json", *of_images} - {at}
    assert tables == set(outcome.tables or ()) == {name for name in tables if (store._out / name).exists()}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 7), st.booleans())
def test_a_full_disk_for_temporary_files_loses_no_row(
    tmp_path_factory: pytest.TempPathFactory, count: int, moving: bool
) -> None:
    """Whenever it is full, every source has its row; the order ends with the folder's name and E_DELIVERY."""
    folder, writes = tmp_path_factory.mktemp("t"), iter(range(1000))

    def full(call: Any) -> Any:
        def called(*given: Any, **named: Any) -> Any:
            if next(writes) >= count:
                raise OSError(errno.ENOSPC, "No space left on device")
            return call(*given, **named)

        return called

    with pytest.MonkeyPatch.context() as patch:
        opened = Path.open

        def limited(self: Path, mode: str = "r", *given: Any, **named: Any) -> Any:
            ours = ".quadrat" in self.parts and "order" in self.parts and set("wax") & set(mode)
            return (full(opened) if ours else opened)(self, mode, *given, **named)

        patch.setattr(Path, "open", limited)
        ran = order(RECTANGLES, (dives if moving else photos)(folder / "in"), folder / "out", moving=moving)

    assert len({row["name"] for row in ran.rows}) in ((5,) if moving else (6, 7)), (
        "a text may be missing, a source never"
    )
    assert (6, "E_DELIVERY") == (ran.status, ran.errors[-1].split()[0])
    assert "/.quadrat/" in ran.errors[-1]
    assert {"survey.csv", "run.json"} <= set((ran.outcome and ran.outcome.tables) or ())
