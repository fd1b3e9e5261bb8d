"""Parameters of one transform, read from a stranger's YAML: typed, in range, none left over."""

from __future__ import annotations

import math
import reprlib
from typing import Any

from quadrat.errors import TransformError
from quadrat.types import TransformSpec

MAX_SIDE = 16_384
MAX_TENSOR_PIXELS = 100_000_000
"""More pixels than this in one network input are refused; as float32 RGB they take 1.2 GB."""

_REQUIRED = object()


class Params:
    """The parameters of one transform; each reader returns one, and `finish` refuses the rest.

    All errors are TransformError and name the transform, the parameter and what it may be.
    """

    def __init__(self, spec: TransformSpec) -> None:
        self._type = spec.type
        self._given = dict(spec.params)
        self._known: list[str] = []

    def integer(self, name: str, default: Any = _REQUIRED, *, low: int = 1, high: int = MAX_SIDE) -> int:
        """Read a whole number in low..high."""
        value = self._take(name, default)
        if value is default or _is_int(value, low, high):
            return int(value)
        raise self.wrong(name, value, f"a whole number in {low}..{high}")

    def integer_or_none(self, name: str) -> int | None:
        """Read a whole number in 1..MAX_SIDE, or null, which is the default."""
        value = self._take(name, None)
        if value is None or _is_int(value, 1, MAX_SIDE):
            return value  # type: ignore[no-any-return]  # narrowed by _is_int
        raise self.wrong(name, value, f"null or a whole number in 1..{MAX_SIDE}")

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        """Read a finite number in low..high; whole numbers stay whole, as YAML gave them."""
        value = self._take(name, default)
        if _is_number(value) and low <= value <= high:
            return value  # type: ignore[no-any-return]  # narrowed by _is_number
        raise self.wrong(name, value, f"a number in {low:g}..{high:g}")

    def numbers(self, name: str, default: tuple[float, ...], *, low: float, high: float) -> tuple[float, ...]:
        """Read one or three numbers, for all channels or for each, of a magnitude in low..high."""
        value = self._take(name, default)
        if (
            isinstance(value, (list, tuple))
            and len(value) in (1, 3)
            and all(_is_number(one) and low <= abs(one) <= high for one in value)
        ):
            return tuple(value)
        raise self.wrong(name, value, f"a list of 1 or 3 numbers of a size in {low:g}..{high:g}")

    def size(self, name: str, default: Any = _REQUIRED) -> tuple[int, int]:
        """Read [width, height] in pixels."""
        value = self._take(name, default)
        if (
            isinstance(value, (list, tuple))
            and len(value) == 2
            and all(_is_int(side, 1, MAX_SIDE) for side in value)
            and value[0] * value[1] <= MAX_TENSOR_PIXELS
        ):
            return value[0], value[1]
        raise self.wrong(
            name,
            value,
            f"[width, height] in 1..{MAX_SIDE}, of at most {MAX_TENSOR_PIXELS // 10**6} million pixels",
        )

    def flag(self, name: str, default: bool) -> bool:
        """Read true or false."""
        value = self._take(name, default)
        if isinstance(value, bool):
            return value
        raise self.wrong(name, value, "true or false")

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """Read one of the words."""
        value = self._take(name, default)
        if isinstance(value, str) and value in choices:
            return value
        raise self.wrong(name, value, f"one of {', '.join(choices)}")

    def single(self, name: str) -> None:
        """Replace a list of one by its element; PaddleSeg draws from longer ones at random."""
        value = self._given.get(name)
        if isinstance(value, list) and len(value) == 1:
            self._given[name] = value[0]

    def ignore(self, *names: str) -> None:
        """Accept parameters that have no meaning without labels."""
        self._known.extend(names)

    def finish(self) -> None:
        """Refuse parameters that no reader asked for."""
        unknown = [name for name in self._given if name not in self._known]
        if unknown:
            known = ", ".join(self._known) or "none"
            raise TransformError(
                f"{_shown(unknown[0])} is no parameter of it",
                where=self._where,
                hint=f"Known are {known}",
            )

    def wrong(self, name: str, value: Any, wanted: str) -> TransformError:
        """Make the error: `name` has `value` where `wanted` is."""
        hint = "YAML reads 1e-3 as text; write 1.0e-3" if isinstance(value, str) else ""
        return TransformError(f"{name} is {_shown(value)}, it must be {wanted}", where=self._where, hint=hint)

    @property
    def _where(self) -> str:
        return f"transforms: {self._type}"

    def _take(self, name: str, default: Any) -> Any:
        self._known.append(name)
        value = self._given.get(name, default)
        if value is _REQUIRED:
            raise TransformError(f"{name} is missing", where=self._where)
        return value


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _shown(value: Any) -> str:
    """Write a value short; Python refuses to write whole numbers of more than 4300 digits."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a huge number"
