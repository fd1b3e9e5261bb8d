"""Read the `classify` entry of meta.json: what the outputs of a classifier mean, and how labels are chosen."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quadrat.errors import ClassesError, HierarchyError, ManifestError
from quadrat.package.classes import class_urn, is_int, text

ACTIVATIONS = ("softmax", "sigmoid", "none")
"""What turns the values of the network into probabilities; "none" if they are probabilities already."""
THRESHOLD = 0.5
"""The least probability of a label if the archive states none: more likely than not."""
TOP_K = 5
"""Number of classes that are listed for each picture if the archive states none."""
MOST_LISTED = 1000
MOST_LEVELS = 100
"""The most levels of a hierarchy. Those of living things have about 30; a chain of thousands would take minutes to follow."""

_WHERE = "meta.json: classify"
_KEYS = ("activation", "multi-label", "temperature", "threshold", "top-k", "parents", "levels")


@dataclass(frozen=True, slots=True)
class LabelWords:
    """What an archive states about its classifier.

    `activation` turns the network's values into probabilities; None if it is not stated. With `multi_label`, every
    class holds or not by itself. `temperature` divides logits before the activation. `threshold` is the least
    probability of a label: one number for all classes, one for each, or none. `top_k` is the number of classes to
    list. `parents` gives the name above each name of a hierarchy, None above a root; it is empty without a hierarchy.
    `levels` names the ranks of the hierarchy, the coarsest first.
    """

    activation: str | None = None
    multi_label: bool = False
    temperature: float = 1.0
    threshold: tuple[float, ...] = ()
    top_k: int = TOP_K
    parents: Mapping[str, str | None] = field(default_factory=dict)
    levels: tuple[str, ...] = ()


def read_labels(meta: Mapping[str, Any]) -> LabelWords:
    """Read the `classify` entry of meta.json, all of whose keys are optional, and check it against `classes`.

    Raises ManifestError for a value of the wrong kind, ClassesError for classes that repeat and for thresholds that
    do not fit them, and HierarchyError for parents that make no tree.
    """
    words = meta.get("classify")
    words = {} if words is None else words
    if not isinstance(words, dict):
        raise _wrong("it does not hold names with values", "", 'Write {"activation": "softmax"}')
    unknown = [key for key in words if key not in _KEYS]
    if unknown:
        raise _wrong(f"{str(unknown[0])[:60]!r} is not one of its keys", "", f"It has: {', '.join(_KEYS)}")
    activation, multi = words.get("activation"), words.get("multi-label", False)
    if activation is not None and activation not in ACTIVATIONS:
        raise _wrong(
            f"{str(activation)[:60]!r} is not an activation",
            ".activation",
            f"Choose from {', '.join(ACTIVATIONS)}",
        )
    if not isinstance(multi, bool):
        raise _wrong("it is neither true nor false", ".multi-label")
    names = _names(meta.get("classes"))
    made = LabelWords(
        activation,
        multi,
        _temperature(words.get("temperature", 1.0)),
        _threshold(words.get("threshold")),
        _top_k(words.get("top-k", TOP_K)),
        _parents(words.get("parents"), names),
        _levels(words.get("levels")),
    )
    _check(made, names)
    return made


def depths(parents: Mapping[str, str | None]) -> dict[str, int]:
    """Return the number of names above each name; HierarchyError if a name is above itself, or below MOST_LEVELS."""
    known: dict[str, int] = {}
    for name in parents:
        path: list[str] = []
        place: str | None = name
        while place is not None and place not in known:
            if place in path:
                loop = " > ".join([*path[path.index(place) :], place])
                raise HierarchyError(
                    f"it has a loop: {loop[:200]}", where=f"{_WHERE}.parents", hint="Give the coarsest name the parent null"
                )  # fmt: skip
            if len(path) >= MOST_LEVELS:
                raise _too_deep()
            path.append(place)
            place = parents.get(place)
        above = -1 if place is None else known[place]
        if above + len(path) >= MOST_LEVELS:
            raise _too_deep()
        for step, each in enumerate(reversed(path), 1):
            known[each] = above + step
    return known


def _names(listed: Any) -> tuple[str, ...]:
    """Return the names of the classes; ClassesError for one that repeats.

    Other faults of `classes` are found where they are read.
    """
    entries: Sequence[Any] = listed if isinstance(listed, list) else []
    seen: dict[tuple[str, str], int] = {}
    names: list[str] = []
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            continue
        name = entry.get("name")
        for key, value in (
            ("name", name),
            ("id", entry.get("id") or (class_urn(name, "") if isinstance(name, str) else None)),
        ):
            if not isinstance(value, str):
                continue
            first = seen.setdefault((key, " ".join(value.casefold().split())), place)
            if first != place:
                raise ClassesError(
                    f"classes {first} and {place} have one {key}, {value[:80]!r}",
                    where="meta.json: classes",
                    hint="A label must name one class: give each its own name",
                )
        names.append(str(entry.get("name")))
    return tuple(names)


def _temperature(value: Any) -> float:
    if not _is_number(value) or not 0.01 <= value <= 100:
        raise _wrong("it is not a number from 0.01 to 100", ".temperature", "1 changes nothing")
    return float(value)


def _threshold(stated: Any) -> tuple[float, ...]:
    if stated is None:
        return ()
    numbers = stated if isinstance(stated, list) else [stated]
    if not numbers or not all(_is_number(number) and 0 <= number <= 1 for number in numbers):
        raise _wrong("it is not a number from 0 to 1, nor a list with one for each class", ".threshold")
    return tuple(float(number) for number in numbers)


def _top_k(value: Any) -> int:
    if not is_int(value) or not 1 <= value <= MOST_LISTED:
        raise _wrong(f"it is not an integer from 1 to {MOST_LISTED}", ".top-k")
    return int(value)


def _levels(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _wrong(
            "it is not a list of names", ".levels", 'Write the coarsest first: ["family", "genus", "species"]'
        )
    levels = tuple(text(each, f"{_WHERE}.levels[{place}]") for place, each in enumerate(value))
    if len(set(levels)) != len(levels):
        raise _wrong("it names a level twice", ".levels")
    return levels


def _parents(stated: Any, names: Sequence[str]) -> dict[str, str | None]:
    if stated is None:
        return {}
    if not isinstance(stated, dict):
        raise _hierarchy("it does not hold names with their parents", 'Write {"Amphiprion": null}')
    parents: dict[str, str | None] = {}
    for name, parent in stated.items():
        where = f"{_WHERE}.parents"
        if isinstance(parent, list) and len(parent) != 1:
            raise _hierarchy(
                f"{name[:80]!r} has {len(parent)} parents", "Each name has one parent, or null for none"
            )
        above = parent[0] if isinstance(parent, list) else parent
        parents[text(name, where)] = None if above is None else text(above, f"{where}.{name[:80]}")
    known = {*names, *parents}
    lost = next((pair for pair in parents.items() if pair[1] is not None and pair[1] not in known), None)
    if lost is not None:
        raise _hierarchy(
            f"{str(lost[1])[:80]!r}, the parent of {lost[0][:80]!r}, is neither a class nor one of its keys",
            "Give it a parent too, or null if it is a root",
        )
    depths(parents)
    useful = set(names)
    for name in names:
        place = parents.get(name)
        while place is not None and place not in useful:
            useful.add(place)
            place = parents.get(place)
    idle = next((name for name in parents if names and name not in useful), None)
    if idle is not None:
        raise _hierarchy(f"no class is {idle[:80]!r} or below it", "Write the names as they stand in classes")
    return parents


def _check(words: LabelWords, names: Sequence[str]) -> None:
    """Raise ManifestError, ClassesError or HierarchyError for entries that contradict each other or the classes."""
    if words.multi_label and words.activation == "softmax":
        raise _wrong(
            "several labels can hold at once, so there is no softmax",
            ".multi-label",
            "State the activation sigmoid, or none if the network gives probabilities",
        )
    if names and len(words.threshold) > 1 and len(words.threshold) != len(names):
        raise ClassesError(
            f"it lists {len(words.threshold)} numbers for {len(names)} classes", where=f"{_WHERE}.threshold"
        )
    if words.parents and words.multi_label:
        raise _hierarchy(
            "probabilities of labels that can hold at once cannot be added up a hierarchy", "Leave it out"
        )
    if words.parents and not names:
        raise _hierarchy("meta.json lists no classes", "List the classes with their names")
    if words.levels and not words.parents:
        raise _wrong(
            "there is no hierarchy that has levels", ".levels", "State the parent of each name as parents"
        )
    deepest = max(depths(words.parents).values(), default=0) + 1
    if words.levels and len(words.levels) != deepest:
        raise _hierarchy(
            f"it has {deepest} levels, but {len(words.levels)} are named: {', '.join(words.levels)[:120]}",
            "Name each level in levels, the coarsest first",
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _too_deep() -> HierarchyError:
    return _hierarchy(f"it has more than {MOST_LEVELS} levels", "Leave out the levels that nobody reports")


def _hierarchy(what: str, hint: str = "") -> HierarchyError:
    return HierarchyError(what, where=f"{_WHERE}.parents", hint=hint)


def _wrong(what: str, key: str, hint: str = "") -> ManifestError:
    return ManifestError(what, where=_WHERE + key, hint=hint)
