"""Read the `classes` of meta.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quadrat.errors import ClassesError, ManifestError
from quadrat.package.colors import RGB, default_color
from quadrat.predictions import UNKNOWN
from quadrat.task_kinds import default_task, kind_of
from quadrat.types import ClassInfo

_SLUG = str.maketrans("/ ", "--")


def read_classes(meta: Mapping[str, Any]) -> tuple[tuple[ClassInfo, ...], int | None]:
    """Return the classes in index order (empty if none are listed) and the number of classes of the network.

    The number is `model.num_classes`, or else the length of the list, or else None. A class without `def_color` gets
    the default colour of its index. Raises ManifestError if an entry is malformed, ClassesError if numbers disagree.
    """
    listed = meta.get("classes")
    if listed is None:
        listed = []
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise _wrong("meta.json: classes", "it is not a list of objects", 'Write [{"name": "sand"}, ...]')
    stated = _stated(meta)
    count = stated if stated is not None else len(listed)
    kind = kind_of(text(meta.get("task", default_task()), "meta.json: task"), "meta.json")
    if count and not kind.max_classes:
        raise ClassesError(
            f"a model of the task {kind.name} has no classes, and this one states {count}",
            where="meta.json: classes", hint="Leave classes and model.num_classes out",
        )  # fmt: skip
    if count > kind.max_classes:
        why = f": a mask has one byte for a pixel, and {UNKNOWN} means unknown" * (
            kind.max_classes == UNKNOWN
        )
        raise ClassesError(
            f"{count} classes are more than {kind.max_classes}{why}",
            where="meta.json: classes",
        )
    if listed and stated is not None and stated != len(listed):
        raise ClassesError(
            f"{len(listed)} classes are listed, but model.num_classes is {stated}",
            where="meta.json: classes", hint="List every class of the network once, including the background",
        )  # fmt: skip
    classes = [
        _class(entry, index, f"meta.json: classes[{place}]", kind.class_urn)
        for place, (entry, index) in enumerate(zip(listed, _indices(listed), strict=True))
    ]
    return tuple(sorted(classes, key=lambda each: each.index)), count or None


def class_urn(name: str, urn: str) -> str:
    """Return the default URN of the class `name`; `urn` is the `class_urn` of its task."""
    return urn + name.translate(_SLUG).lower()


def class_of(classes: Mapping[int, ClassInfo], index: int, urn: str) -> ClassInfo:
    """Return the class with this index; if it is not listed, one that is named after its index.

    `urn` is the beginning of the URN of an unlisted class: the `class_urn` of its task.
    """
    known = classes.get(index)
    if known is not None:
        return known
    name = f"class {index}"
    return ClassInfo(index, class_urn(name, urn), name, default_color(index))


def is_int(value: Any) -> bool:
    """Return True if a value of JSON or YAML is an integer; booleans are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def text(value: Any, where: str) -> str:
    """Return `value` if it is one line of printable text; ManifestError if it is not."""
    if isinstance(value, str) and value.strip() and len(value) <= 255 and value.isprintable():
        return value
    what = "it is missing" if value is None else "it is not a text of 1 to 255 printable characters"
    raise ManifestError(what, where=where)


def _stated(meta: Mapping[str, Any]) -> int | None:
    model = meta.get("model")
    stated = model.get("num_classes") if isinstance(model, dict) else None
    if stated is not None and (not is_int(stated) or stated < 1):
        raise _wrong("meta.json: model.num_classes", "it is not an integer of at least 1", "")
    return stated


def _indices(listed: list[dict[str, Any]]) -> list[int]:
    """Return the index of each class: the stated one, or its position in the list."""
    stated = [entry.get("index") for entry in listed]
    if all(index is None for index in stated):
        return list(range(len(listed)))
    if not all(is_int(index) for index in stated):
        raise ClassesError(
            "only some of the classes state an index that is an integer", where="meta.json: classes",
            hint="Give an index to every class or to none",
        )  # fmt: skip
    indices = [int(index) for index in stated if index is not None]
    if sorted(indices) != list(range(len(indices))):
        raise ClassesError(
            f"the indices are not 0 to {len(indices) - 1}, each exactly once", where="meta.json: classes",
            hint="The index is the value that the network outputs for the class",
        )  # fmt: skip
    return indices


def _class(entry: Mapping[str, Any], index: int, where: str, urn: str) -> ClassInfo:
    name = text(entry.get("name"), f"{where}.name")
    default_id = class_urn(name, urn)
    return ClassInfo(
        index=index,
        id=text(entry.get("id") or default_id, f"{where}.id"),
        name=name,
        color=_color(entry.get("def_color"), index, f"{where}.def_color"),
    )


def _color(value: Any, index: int, where: str) -> RGB:
    if value is None or value == []:
        return default_color(index)
    if not isinstance(value, list) or len(value) != 3 or not all(is_int(c) and 0 <= c <= 255 for c in value):
        raise _wrong(where, "it is not three integers from 0 to 255", "Write [red, green, blue]")
    red, green, blue = value
    return red, green, blue


def _wrong(where: str, what: str, hint: str) -> ManifestError:
    return ManifestError(what, where=where, hint=hint)
