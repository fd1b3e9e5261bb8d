"""Read and check the parameters of one transform from an untrusted deploy.yaml."""

from __future__ import annotations

import math
import reprlib
from typing import Any

from quadrat.errors import TransformError
from quadrat.types import TransformSpec

MAX_SIDE = 16_384
MAX_TENSOR_PIXELS = 100_000_000
"""Limit of one network input; as float32 RGB this is 1.2 GB."""

_REQUIRED = object()


class Params:
    """The parameters of one transform: each method reads one, and `finish` refuses those not read.

    All errors are TransformErrors that name the transform, the parameter and its valid values.
    """

    def __init__(self, spec: TransformSpec) -> None:
        self._type = spec.type
        self._given = dict(spec.params)
        self._read: list[str] = []

    def integer(self, name: str, default: Any = _REQUIRED, *, low: int = 1, high: int = MAX_SIDE) -> int:
        """Read a whole number in low..high."""
        value = self._get(name, default)
        if value is default or _is_int(value, low, high):
            return int(value)
        raise self.error(name, value, f"a whole number in {low}..{high}")

    def integer_or_none(self, name: str) -> int | None:
        """Read a whole number in 1..MAX_SIDE, or null (the default)."""
        value = self._get(name, None)
        if value is None or _is_int(value, 1, MAX_SIDE):
            return value  # type: ignore[no-any-return]  # narrowed by _is_int
        raise self.error(name, value, f"null or a whole number in 1..{MAX_SIDE}")

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        """Read a finite number in low..high; integers stay integers."""
        value = self._get(name, default)
        if _is_number(value) and low <= value <= high:
            return value  # type: ignore[no-any-return]  # narrowed by _is_number
        raise self.error(name, value, f"a number in {low:g}..{high:g}")

    def numbers(self, name: str, default: tuple[float, ...], *, low: float, high: float) -> tuple[float, ...]:
        """Read one number for all channels, or one per channel, of a magnitude in low..high."""
        value = self._get(name, default)
        if (
            isinstance(value, (list, tuple))
            and len(value) in (1, 3)
            and all(_is_number(one) and low <= abs(one) <= high for one in value)
        ):
            return tuple(value)
        raise self.error(name, value, f"a list of 1 or 3 numbers of a magnitude in {low:g}..{high:g}")

    def size(self, name: str, default: Any = _REQUIRED) -> tuple[int, int]:
        """Read [width, height] in pixels."""
        value = self._get(name, default)
        if (
            isinstance(value, (list, tuple))
            and len(value) == 2
            and all(_is_int(side, 1, MAX_SIDE) for side in value)
            and value[0] * value[1] <= MAX_TENSOR_PIXELS
        ):
            return value[0], value[1]
        raise self.error(
            name,
            value,
            f"[width, height] in 1..{MAX_SIDE}, of at most {MAX_TENSOR_PIXELS // 10**6} million pixels",
        )

    def flag(self, name: str, default: bool) -> bool:
        """Read true or false."""
        value = self._get(name, default)
        if isinstance(value, bool):
            return value
        raise self.error(name, value, "true or false")

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """Read one of `choices`."""
        value = self._get(name, default)
        if isinstance(value, str) and value in choices:
            return value
        raise self.error(name, value, f"one of {', '.join(choices)}")

    def unwrap_single(self, name: str) -> None:
        """Replace a list of one element by the element; PaddleSeg picks from longer lists at random."""
        value = self._given.get(name)
        if isinstance(value, list) and len(value) == 1:
            self._given[name] = value[0]

    def ignore(self, *names: str) -> None:
        """Accept and ignore parameters that only affect labels."""
        self._read.extend(names)

    def finish(self) -> None:
        """Raise TransformError for a parameter that was not read."""
        unknown = [name for name in self._given if name not in self._read]
        if unknown:
            known = ", ".join(self._read) or "none"
            raise TransformError(
                f"unknown parameter {_short_repr(unknown[0])}",
                where=self._where,
                hint=f"Known parameters: {known}",
            )

    def error(self, name: str, value: Any, wanted: str) -> TransformError:
        """Make the error for a parameter `name` whose `value` is not `wanted`."""
        hint = "YAML reads 1e-3 as text: write 1.0e-3" if isinstance(value, str) else ""
        return TransformError(
            f"{name} is {_short_repr(value)}, but must be {wanted}", where=self._where, hint=hint
        )

    @property
    def _where(self) -> str:
        return f"transforms: {self._type}"

    def _get(self, name: str, default: Any) -> Any:
        self._read.append(name)
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


def _short_repr(value: Any) -> str:
    """Return a shortened repr; Python cannot format integers of more than 4300 digits."""
    try:
        return reprlib.repr(value)
    except ValueError:
        return "a huge number"
