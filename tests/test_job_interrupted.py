"""An order that ends in the middle has one row for each source."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from quadrat import job
from quadrat.errors import QuadratError
from quadrat.executors.local import LocalExecutor, open_local
from quadrat.pipeline.measure import Event, SourceDone, SourceMeasurement
from tests.executors.orders import photos
from tests.moving import RECTANGLES, order


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

    names = [row["name"] for row in ran.rows]
    assert len(names) == len(set(names))
    assert "ok" == ran.row("0.png")["status"]
    assert [] == ran.warnings, "a source that is whole is not called partial"
