"""The unit of work in this process, with its networks here (`local`) or in child processes (`isolated`)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from quadrat.executors.work import Work
from quadrat.pipeline.facts import facts_of
from quadrat.pipeline.measure import SourceMeasurement
from quadrat.pipeline.models import Pass, load_models
from quadrat.pipeline.read import Pull
from quadrat.report.base import ModelFacts
from quadrat.types import StoreItem


class LocalExecutor:
    """Measures with models that are loaded in this process."""

    def __init__(self, models: Pass, facts: Sequence[ModelFacts], *, moving: bool) -> None:
        self.facts = facts
        self._models = models
        self._moving = moving

    def measure(self, items: Iterable[StoreItem], pull: Pull, folder: Path) -> SourceMeasurement:
        """Measure sources as they come."""
        return SourceMeasurement(self._models, self.facts, items, pull, folder, moving=self._moving)


@contextmanager
def open_local(work: Work, log: logging.Logger, *, isolated: bool = False) -> Iterator[LocalExecutor]:
    """Load the models in this process, and keep them loaded while the context is open."""
    with load_models(
        work.archives, work.settings, log, throughput=work.throughput, isolated=isolated
    ) as models:
        facts = [
            replace(each, in_folders=work.in_folders)
            for each in facts_of(models, work.order, work.urns, moving=work.moving)
        ]
        yield LocalExecutor(models, facts, moving=work.moving)


def open_isolated(work: Work, log: logging.Logger) -> AbstractContextManager[LocalExecutor]:
    """Load each network in a child process, where a crash, a loop or a lack of memory costs one image or frame."""
    return open_local(work, log, isolated=True)
