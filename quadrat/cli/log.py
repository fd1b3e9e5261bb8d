"""The log of the command: plain lines on standard error, which cannot be forged by a file's name."""

from __future__ import annotations

import logging
import sys

from quadrat.errors import printable

LOG = "quadrat"
PREFIX = {logging.WARNING: "warning: "}


class ConsoleFormatter(logging.Formatter):
    """Formats a record as one line, with control characters of names escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record; the traceback of an unexpected error follows it, if it is logged."""
        line = PREFIX.get(record.levelno, "") + printable(record.getMessage())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class ConsoleHandler(logging.StreamHandler):  # type: ignore[type-arg]  # not generic when it runs
    """Writes to standard error as it is now. A log that cannot be written changes no result."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is that of logging
        """Ignore a closed or full terminal."""


def open_log() -> logging.Logger:
    """Send the log of quadrat to standard error, and return its logger."""
    handler = ConsoleHandler(sys.stderr)
    handler.setFormatter(ConsoleFormatter())
    for name in (LOG, "service"):  # the parser of the parameters logs as the service
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(logging.INFO)
    return logging.getLogger(LOG)


def internal_error(log: logging.Logger, error: Exception) -> int:
    """Log an error of our own, with its traceback at the level of debugging, and return its exit status."""
    log.error("E_INTERNAL %s: %s. Please report this", type(error).__name__, error)
    log.debug("where it happened", exc_info=error)
    return 1
