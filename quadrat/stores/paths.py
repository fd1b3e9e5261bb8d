"""Paths that users give.

This module imports no arrays, because `--help` imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def is_gzip(path: Path) -> bool:
    """Return True for a readable file that begins as a gzip archive, as every model archive does."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(2) == b"\x1f\x8b"
    except OSError:
        return False


def swapped(models: Sequence[Path], sources: Sequence[Path]) -> Path | None:
    """Return the source that is an archive if no model is one, because the two were probably swapped."""
    if any(is_gzip(model) for model in models):
        return None
    return next((source for source in sources if is_gzip(source)), None)


def results_in(out: Path, into: str | None) -> Path:
    """Return the folder of results: `out`, or the folder `into` in it. ParameterError unless that is a plain name."""
    if not into:
        return out
    if into in (".", "..") or "/" in into or "\\" in into or "\0" in into or into.startswith("."):
        raise ParameterError(
            f"{into[:LONGEST_SHOWN]!a} is not the name of a folder",
            where="into",
            hint="Give a name without a slash that does not begin with a dot, such as second-run",
        )
    return out / into
