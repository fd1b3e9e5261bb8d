"""The size to which images are shrunk: a number of pixels in all, or the length of the long side."""

from __future__ import annotations

import math
import re

from quadrat.errors import ParameterError

LEAST_BARE = 50_000
"""A smaller number without a unit is refused, because it is probably meant as the length of a side."""
MOST_PIXELS, LONGEST_SIDE = 10**12, 10**6
FORMS = "-1, a number of pixels in all such as 1000000 or 1MP, or a long side such as 1024px"

_TEXT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(mp|px)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}")


def check_size(value: object, name: str) -> int | str:
    """Return a size as settings hold it: -1 or the pixels in all as an integer, or the long side as "1024px".

    `value` is an integer, or a text with a number and no unit, `MP` or `px`. Raises ParameterError for anything else, for
    sizes out of range, and for a number from 0 to LEAST_BARE without a unit. `name` is the parameter's.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _check_bare(value, name)
    found = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        shown = repr(value)
        raise ParameterError(f"{shown[:80]} is not a size", where=name, hint=f"Write {FORMS}")
    if found[2].lower() == "px":
        return f"{_in_range(found[1], 1, LONGEST_SIDE, 'px', name)}px"
    return _in_range(found[1], 1_000_000, MOST_PIXELS, "MP", name)


def in_megapixels(pixels: int) -> str:
    """Return a number of pixels in megapixels: 1024 is "0.001024MP"."""
    return f"{pixels / 10**6:.6f}".rstrip("0").rstrip(".") + "MP"


def size_words(size: int | str | None) -> str:
    """Return a size in words: "1 million pixels", or "a long side of 1024 pixels"."""
    if isinstance(size, str):
        return f"a long side of {size.removesuffix('px')} pixels"
    return f"{size} pixels" if not size or size % 10**6 else f"{size // 10**6} million pixels"


def _check_bare(value: int, name: str) -> int:
    if value == 0:
        raise ParameterError("0 is neither -1 nor at least 1", where=name, hint=f"Write {FORMS}")
    if value < -1 or value > MOST_PIXELS:
        raise ParameterError(f"{value} is not from -1 to {MOST_PIXELS:g}", where=name, hint=f"Write {FORMS}")
    if 0 < value < LEAST_BARE:
        side = round(math.sqrt(value))
        raise ParameterError(
            f"{value} pixels in all would be a picture of about {side} x {side}",
            where=name,
            hint=f"Write {value}px for a long side of {value} pixels, or {in_megapixels(value)} if you mean it",
        )
    return value


def _in_range(number: str, unit: int, most: int, word: str, name: str) -> int:
    """Return a number of units as an integer; ParameterError if it is not from 1 to `most`."""
    value = round(float(number) * unit)
    if not 1 <= value <= most or (unit == 1 and not number.isdigit()):
        wanted = f"a whole number from 1 to {most}" if unit == 1 else f"from 0.000001 to {most // unit}"
        raise ParameterError(f"{number}{word} is not {wanted}", where=name, hint=f"Write {FORMS}")
    return value
