"""Where the unit of work runs; one module per executor, found here by name."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import cast

from quadrat.executors.work import Executor, Work
from quadrat.task_kinds import resolve

EXECUTORS = {
    "local": "quadrat.executors.local:open_local",
    "isolated": "quadrat.executors.isolated:open_isolated",
}
"""Every executor, by the value of the parameter that chooses it."""


def open_executor(work: Work, log: logging.Logger) -> AbstractContextManager[Executor]:
    """Load the models of some work where its settings say, for as long as the context lasts.

    Raises what loading the models raises: ModelError, EngineError or ParameterError.
    """
    name = work.settings.order.executor
    return cast(AbstractContextManager[Executor], resolve(EXECUTORS[name])(work, log))
