"""The SDK's log, with lines that a file's name cannot forge and without its list of all parameters."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from quadrat.errors import printable

PARAMETERS = "Starting service with "
"""How the SDK begins the line of all parameters, a kilobyte long, given or not."""
_NOT_GIVEN = re.compile(r"\b\w+=None(?:, )?")


class EscapingFormatter(logging.Formatter):
    """Formats records as another formatter does, with the control characters of their messages escaped."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; a traceback after it keeps its lines."""
        escaped = logging.makeLogRecord(record.__dict__)
        escaped.msg, escaped.args = printable(record.getMessage()), ()
        return self._inner.format(escaped)


class ParameterLine(logging.Filter):
    """Shortens the SDK's line of parameters to those that are given; on a laptop, drops it."""

    def __init__(self, *, local: bool) -> None:
        super().__init__()
        self._local = local

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a record to drop."""
        message = record.getMessage()
        if not message.startswith(PARAMETERS):
            return True
        record.msg, record.args = _NOT_GIVEN.sub("", message).replace(", )", ")"), ()
        return not self._local


def tame(logs: Sequence[logging.Logger], *, local: bool) -> None:
    """Make the handlers of the SDK's loggers escape names, and shorten its line of parameters."""
    handlers = {id(handler): handler for log in logs for handler in log.handlers}
    for handler in handlers.values():
        if not isinstance(handler.formatter, EscapingFormatter):
            handler.setFormatter(EscapingFormatter(handler.formatter or logging.Formatter()))
            handler.addFilter(ParameterLine(local=local))
