"""Executors decide where the unit of work runs. They are found here by name, one module for each."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import cast

from quadrat.executors.work import Executor, Work
from quadrat.task_kinds import resolve

EXECUTORS = {
    "local": "quadrat.executors.local:open_local",
    "isolated": "quadrat.executors.local:open_isolated",
}
"""All executors, by the value of the parameter `executor`."""


def open_executor(work: Work, log: logging.Logger) -> AbstractContextManager[Executor]:
    """Load the models of some work where its settings say, and keep them loaded while the context is open.

    Raises ModelError, EngineError or ParameterError if a model cannot be loaded.
    """
    name = work.settings.order.executor
    return cast(AbstractContextManager[Executor], resolve(EXECUTORS[name])(work, log))
