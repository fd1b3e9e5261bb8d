"""Standard output and standard error that take every line: closed, full, or unable to encode it."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

DESCRIPTORS = (0, 1, 2)


def protect() -> None:
    """Make sure that output changes neither a result nor a status. Call this before any file is opened.

    A descriptor that is closed becomes the null device: otherwise the next file to be opened would get its number,
    and what a native library prints would end up in that file. Characters that a stream cannot encode are escaped.
    """
    for number in DESCRIPTORS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor is this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _null())
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    logging.raiseExceptions = False


def _null() -> TextIO:
    """Open the null device for the process's life."""
    return Path(os.devnull).open("w", encoding="utf-8", errors="backslashreplace")


def release() -> None:
    """Write what is buffered. If that fails, drop it: Python would end with status 120."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, number)
                os.close(null)
