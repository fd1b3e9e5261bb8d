"""Read the `enhance` entry of meta.json: how a network that makes pictures reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quadrat.errors import ManifestError
from quadrat.package.classes import is_int

ORDERS = ("RGB", "BGR", "Y")
"""Orders of the channels; Y is the luma of JPEG's YCbCr, and the chroma is scaled by bicubic interpolation."""
RANGES: tuple[tuple[int, int], ...] = ((0, 1), (-1, 1), (0, 255))
"""Values of black and white."""
LAYOUTS = ("NCHW", "NHWC")
"""Axes of the network's output; the input of an archive is always NCHW."""
MAX_SCALE, MAX_MULTIPLE, MAX_REACH = 16, 1024, 4096

KEY = "enhance"
"""The key of meta.json."""

_WHERE = f"meta.json: {KEY}"
_KEYS = ("order", "range", "output-range", "layout", "scale", "multiple", "least", "reach", "grid")


@dataclass(frozen=True, slots=True)
class EnhanceWords:
    """What an archive states about a network that makes pictures.

    `range` and `output_range` are the values of black and white in its input and output; `layout` is that of its
    output; its pictures are `scale` times as large as its input. Height and width of the input must be multiples of
    `multiple` and at least `least`: pictures are padded by reflection. `reach` is the radius of the receptive field,
    the largest distance in pixels of the input at which a pixel of the input changes the picture, for tiles that start
    at multiples of `grid`; it is None if every pixel changes the whole picture, or if it matters where a tile starts.
    """

    order: str = "RGB"
    range: tuple[int, int] = (0, 1)
    output_range: tuple[int, int] = (0, 1)
    layout: str = "NCHW"
    scale: int = 1
    multiple: int = 1
    least: int = 1
    reach: int | None = None
    grid: int = 1

    @property
    def channels(self) -> int:
        """The number of channels of input and output."""
        return 1 if self.order == "Y" else 3


def read_enhance(meta: Mapping[str, Any]) -> EnhanceWords:
    """Read the `enhance` entry of meta.json, which an archive of this task must have. Raises ManifestError."""
    words = meta.get(KEY)
    if not isinstance(words, dict):
        what = "it is missing" if words is None else "it does not hold names with values"
        raise ManifestError(
            what, where=_WHERE, hint='Write {"order": "RGB", "range": [0, 1], "scale": 2}, or pack the network again'
        )  # fmt: skip
    for key in words:
        if key not in _KEYS:
            raise _wrong(f"{str(key)[:60]!r} is not one of its keys", "", f"The keys are {', '.join(_KEYS)}")
    first = _range(words, "range", None)
    multiple = _integer(words, "multiple", 1, MAX_MULTIPLE, 1)
    grid = _integer(words, "grid", 1, MAX_MULTIPLE, multiple)
    if grid % multiple:
        raise _wrong(f"it is not a multiple of {multiple}, the value of multiple", ".grid")
    reach = None if words.get("reach") is None else _integer(words, "reach", 0, MAX_REACH, 0)
    return EnhanceWords(
        _choice(words, "order", ORDERS, None), first, _range(words, "output-range", first),
        _choice(words, "layout", LAYOUTS, "NCHW"), _integer(words, "scale", 1, MAX_SCALE, None), multiple,
        _integer(words, "least", 1, MAX_MULTIPLE, 1), reach, grid,
    )  # fmt: skip


def to_meta(words: EnhanceWords) -> dict[str, Any]:
    """Return the `enhance` entry of meta.json; `read_enhance` reads it."""
    return {
        "order": words.order, "range": list(words.range), "output-range": list(words.output_range),
        "layout": words.layout, "scale": words.scale, "multiple": words.multiple, "least": words.least,
        "reach": words.reach, "grid": words.grid,
    }  # fmt: skip


def transforms_of(words: EnhanceWords, shape: tuple[int | None, ...]) -> tuple[dict[str, Any], ...]:
    """Return the transforms of deploy.yaml that make the network's input; `shape` is (N, C, H, W)."""
    pad: dict[str, Any] = {"type": "ReflectPadding", "divisor": words.multiple, "least": words.least}
    pad |= {name: side for name, side in zip(("height", "width"), shape[2:], strict=True) if side}
    turn = {"RGB": (), "BGR": ({"type": "ToBGR"},), "Y": ({"type": "ToY"},)}[words.order]
    low, high = words.range
    if high == 255:
        return (pad, *turn)
    mean, std = -low / (high - low), 1 / (high - low)
    return (pad, *turn, {"type": "Normalize", "mean": [mean], "std": [std]})


def _integer(words: Mapping[str, Any], key: str, low: int, high: int, default: int | None) -> int:
    value = words.get(key, default)
    if not is_int(value) or not low <= value <= high:
        what = (
            "it is missing" if value is None else f"{str(value)[:60]} is not a whole number in {low}..{high}"
        )
        raise _wrong(what, f".{key}")
    return int(value)


def _choice(words: Mapping[str, Any], key: str, choices: tuple[str, ...], default: str | None) -> str:
    value = words.get(key, default)
    if value not in choices:
        what = "it is missing" if value is None else f"{str(value)[:60]!r} is not one of its values"
        raise _wrong(what, f".{key}", f"Write one of {', '.join(choices)}")
    return str(value)


def _range(words: Mapping[str, Any], key: str, default: tuple[int, int] | None) -> tuple[int, int]:
    value = words.get(key)
    if value is None and default is not None:
        return default
    for known in RANGES:
        if isinstance(value, list) and len(value) == 2 and tuple(value) == known:
            return known
    what = "it is missing" if value is None else f"{str(value)[:60]} is not one of its values"
    raise _wrong(what, f".{key}", f"Write one of {', '.join(str(list(each)) for each in RANGES)}")


def _wrong(what: str, key: str, hint: str = "") -> ManifestError:
    return ManifestError(what, where=_WHERE + key, hint=hint)
