"""Recognise the products of earlier runs, so that they are not measured as photographs or videos."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from quadrat.task_kinds import TASKS, kind_of

_HEAD = 4096
_OURS = re.compile(rb'\s*\{\s*"\$schema"\s*:\s*"urn:ibenthos:schema:(?:quadrat|paddle\.seg)\.')


def product_reason(path: Path, has: Callable[[str], bool] = lambda _name: True) -> str | None:
    """Return why a file is a product of an earlier run, or None if it is not known to be one.

    It is one if its name has the ending of a picture that quadrat makes, or if the metadata beside it has a schema
    of quadrat. Other programs write `NAME-meta.json` too. `has` tells whether the folder contains a name.
    """
    ending = next((each for each in _endings() if path.name.lower().endswith(each)), None)
    if ending is not None:
        return f"its name ends in {ending}, as the pictures that quadrat makes; rename it to measure it"
    if has(f"{path.name}-meta.json") and _is_ours(path.with_name(f"{path.name}-meta.json")):
        return "it is the result of an earlier run"
    return None


@cache
def _endings() -> tuple[str, ...]:
    return tuple(each for task in TASKS for each in kind_of(task).endings)


def _is_ours(metadata: Path) -> bool:
    """Return True if a file begins as the metadata of a product, of which the schema is the first key."""
    try:
        if not metadata.is_file():
            return False
        with metadata.open("rb") as file:
            return _OURS.match(file.read(_HEAD)) is not None
    except OSError:
        return False
