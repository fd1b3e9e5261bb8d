"""Recognise the products of earlier runs, so that they are not measured as photographs or videos."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

from PIL import Image

from quadrat.task_kinds import TASKS, kind_of

_HEAD = 4096
_PNG, _PNG_MARK, _PALETTE = struct.Struct(">8s8xII1xB"), b"\x89PNG\r\n\x1a\n", 3
_MASK_COLORS = 64
"""A palette PNG with at most this many colours is a mask; a photograph with a palette uses all 256."""
_LARGEST_MASK = 80_000_000
"""Pixels above which a palette PNG is not read to count its colours."""
_OURS = re.compile(rb'\s*\{\s*"\$schema"\s*:\s*"urn:ibenthos:schema:(?:quadrat|paddle\.seg)\.')


def product_reason(path: Path, has: Callable[[str], bool] = lambda _name: True) -> str | None:
    """Return why a file is a product of an earlier run, or None if it is not known to be one.

    It is one if its name has the ending of a picture that quadrat makes, if the metadata beside it has a schema of
    quadrat, or if it is a palette PNG of few colours: masks are. Other programs write `NAME-meta.json` too. `has` tells
    whether the folder contains a name.
    """
    ending = next((each for each in _endings() if path.name.lower().endswith(each)), None)
    if ending is not None:
        return f"its name ends in {ending}, as the pictures that quadrat makes; rename it to measure it"
    if has(f"{path.name}-meta.json") and _is_ours(path.with_name(f"{path.name}-meta.json")):
        return "it is the result of an earlier run"
    if colors := _mask_colors(path):
        return f"it is a palette PNG of {colors} colours, as masks are; save it as RGB to measure it"
    return None


def _mask_colors(path: Path) -> int:
    """Return the number of colours of a palette PNG that has as few as a mask; 0 for any other file."""
    if path.suffix.lower() != ".png":
        return 0
    try:
        with path.open("rb") as file:
            head = file.read(_PNG.size)
        mark, width, height, kind = _PNG.unpack(head)
        if mark != _PNG_MARK or kind != _PALETTE or width * height > _LARGEST_MASK:
            return 0
        with Image.open(path) as picture:
            return len(picture.getcolors(_MASK_COLORS) or ())
    except (OSError, ValueError, SyntaxError, struct.error):
        return 0  # whoever reads it will say what is wrong


@cache
def _endings() -> tuple[str, ...]:
    return (".joined.jpg", *(each for task in TASKS for each in kind_of(task).endings))


def _is_ours(metadata: Path) -> bool:
    """Return True if a file begins like the metadata of a product: its first key is the schema."""
    try:
        if not metadata.is_file():
            return False
        with metadata.open("rb") as file:
            return _OURS.match(file.read(_HEAD)) is not None
    except OSError:
        return False
