"""Paths that users give.

This module imports no arrays, because `--help` imports it.
"""

from __future__ import annotations

from pathlib import Path

from quadrat.errors import ParameterError

LONGEST_SHOWN = 200
"""Characters of a path that an error shows."""


def exists(path: Path, parameter: str) -> bool:
    """Return True if there is a file or folder; ParameterError if that cannot be found out.

    A name may be longer than the file system allows, or lie in a folder that may not be entered.
    """
    try:
        return path.exists()
    except OSError as error:
        shown = ascii(str(path)) if len(str(path)) <= LONGEST_SHOWN else f"{str(path)[:LONGEST_SHOWN]!a}..."
        raise ParameterError(f"{shown} cannot be accessed ({error.strerror})", where=parameter) from error
