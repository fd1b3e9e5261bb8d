"""Read what an archive states about objects: `"on": "objects"` and the `objects` entry of meta.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quadrat.errors import ManifestError

ON = ("frames", "objects")
"""What a model measures: whole frames, or the crop of each object that a detector finds."""
PADDING, MIN_SIZE = 0.1, 8
"""The usual padding, as a share of the box, and the usual least side of an object in pixels of the source."""

_WHERE = "meta.json: objects"
_KEYS = ("padding", "min-size", "classes", "background")
_MOST_PADDING = 10.0


@dataclass(frozen=True, slots=True)
class ObjectWords:
    """What an archive states about the objects that it measures.

    `padding` is added on each side of a box, as a share of the box's width or height; `min_size` is the least shorter
    side of a box in pixels of the source. `classes` are the names, ids or indices of the detector's classes; empty
    for all. `background` is the class of a mask that is not part of the object; None if the archive states none, and
    valid only if `stated`.
    """

    padding: float = PADDING
    min_size: float = MIN_SIZE
    classes: tuple[str, ...] = ()
    background: str | int | None = None
    stated: bool = False


def read_objects(meta: Mapping[str, Any]) -> ObjectWords | None:
    """Return what an archive that is about objects states; None if it measures whole frames. Raises ManifestError."""
    on = meta.get("on", ON[0])
    if on not in ON:
        raise ManifestError(
            f"{str(on)[:60]!r} is not known", where="meta.json: on", hint=f"Write one of {', '.join(ON)}"
        )
    if on == ON[0]:
        if "objects" in meta:
            raise _wrong("it applies only to a model of objects", "", 'Add "on": "objects", or leave it out')
        return None
    words = meta.get("objects", {})
    if not isinstance(words, dict):
        raise _wrong("it does not hold names with values", "", 'Write {"padding": 0.1}')
    for key in words:
        if key not in _KEYS:
            raise _wrong(f"{str(key)[:60]!r} is not one of its keys", "", f"The keys are {', '.join(_KEYS)}")
    return ObjectWords(
        _number(words, "padding", PADDING, _MOST_PADDING),
        _number(words, "min-size", MIN_SIZE, 1_000_000),
        _classes(words.get("classes", [])),
        _background(words.get("background")),
        "background" in words,
    )


def _number(words: Mapping[str, Any], key: str, usual: float, most: float) -> float:
    value = words.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise _wrong(f"it is not a number in 0 to {most:g}", f".{key}")
    return float(value)


def _classes(given: Any) -> tuple[str, ...]:
    """Return the words of a list of classes; an index may be a number."""
    if not isinstance(given, list) or not all(_is_class(each) for each in given):
        raise _wrong("it is not a list of names, ids or indices of classes of the detector", ".classes")
    return tuple(str(each).strip() for each in given)


def _background(given: Any) -> str | int | None:
    if given is not None and not _is_class(given):
        raise _wrong("it is neither null nor the name, id or index of a class", ".background")
    return given if isinstance(given, int) or given is None else str(given)


def _is_class(value: Any) -> bool:
    return not isinstance(value, bool) and (
        (isinstance(value, int) and value >= 0) or (isinstance(value, str) and bool(value.strip()))
    )


def _wrong(what: str, where: str, hint: str = "") -> ManifestError:
    return ManifestError(what, where=f"{_WHERE}{where}", hint=hint)
