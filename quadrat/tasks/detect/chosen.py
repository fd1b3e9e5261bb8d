"""The classes of objects that an order keeps: the parameter `classes`, read with the classes of an archive."""

from __future__ import annotations

from collections.abc import Sequence

from quadrat.errors import ParameterError
from quadrat.parameters import ObjectSettings
from quadrat.types import ClassInfo

LISTED = 100
"""Most classes that an error lists."""


def chosen(objects: ObjectSettings, classes: Sequence[ClassInfo], num_classes: int | None) -> tuple[int, ...]:
    """Return the indices of the classes to keep, in ascending order; an empty tuple keeps all.

    A class is given by its name (capital letters do not matter), its id or its index; a name may contain commas.
    `num_classes` is None if it is unknown: then any index is possible. Raises ParameterError for a class that the
    archive does not have.
    """
    parts = objects.classes.split(",")
    found: set[int] = set()
    start = 0
    while start < len(parts):
        ends = range(len(parts), start, -1)  # the longest first, for the sake of names with commas
        matches = ((end, _matching(",".join(parts[start:end]), classes, num_classes)) for end in ends)
        end, indices = next(((end, one) for end, one in matches if one), (start + 1, set[int]()))
        if not indices and parts[start].strip():
            raise _unknown(parts[start].strip(), classes, num_classes)
        found |= indices
        start = end
    return tuple(sorted(found))


def _matching(word: str, classes: Sequence[ClassInfo], num_classes: int | None) -> set[int]:
    """Return the indices of the classes that a word names."""
    word = word.strip()
    exact = {info.index for info in classes if word in (info.name, info.id)}
    alike = exact or {info.index for info in classes if word.casefold() == info.name.casefold()}
    if alike or not (word.isascii() and word.isdigit()) or len(word) > 6:
        return alike
    index = int(word)
    listed = not classes or any(info.index == index for info in classes)
    return {index} if listed and (num_classes is None or index < num_classes) else set()


def _unknown(word: str, classes: Sequence[ClassInfo], num_classes: int | None) -> ParameterError:
    """Return the error for a class that the archive does not have."""
    names = ", ".join(info.name for info in classes[:LISTED])
    more = f" and {len(classes) - LISTED} more" if len(classes) > LISTED else ""
    count = "any number" if num_classes is None else f"0 to {num_classes - 1}"
    return ParameterError(
        f"the archive has no class {word!r}",
        where="classes",
        hint=f"Its classes are {names}{more}"
        if names
        else f"Its classes have no names; give indices, {count}",
    )
