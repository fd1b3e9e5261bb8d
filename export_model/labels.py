"""Read class names and colours from options and files, in the form of meta.json's `classes`."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from export_model.network import existing
from quadrat.errors import ParameterError
from quadrat.package.classes import class_urn
from quadrat.stores.strict import MAX_JSON, StrictError, parse_either, read_text
from quadrat.task_kinds import default_task, kind_of

MAX_NAME = 200
"""Most characters of a name: with the prefix of its URN it is then a valid id."""
MAX_NAMES = 100_000
"""Longest text of class names in metadata that is parsed, in characters."""
_SPACES = ("Zs", "Zl", "Zp")
MASK_URN = kind_of(default_task()).class_urn
"""What the URNs of the classes of masks begin with."""


def entry(name: str, color: Sequence[int] = (), urn: str = MASK_URN) -> dict[str, Any]:
    """Return one class: `id` (`urn` and the name), `name`, and `def_color`, which is [r, g, b] or [] for none."""
    return {"id": class_urn(name, urn), "name": name, "def_color": list(color)}


def clean(name: str, where: str) -> str:
    """Return a name that tables, pictures and metadata can show: one line in form NFC, with plain spaces.

    Spaces of every kind become plain ones, and invisible characters (byte order marks, joiners, marks of direction)
    are removed. Raises ParameterError for a name that is empty then, too long, or holds other characters that cannot
    be shown.
    """
    spaced = "".join(" " if c.isspace() or unicodedata.category(c) in _SPACES else c for c in name)
    seen = "".join(c for c in spaced if unicodedata.category(c) != "Cf")
    done = " ".join(unicodedata.normalize("NFC", seen).split())
    odd = next((c for c in done if not c.isprintable()), "")
    if odd:
        raise ParameterError(
            f"a name holds the character U+{ord(odd):04X}, which cannot be shown", where=where
        )
    if not done:
        raise ParameterError(f"the name {name[:20]!r} holds nothing that can be shown", where=where)
    if len(done) > MAX_NAME:
        raise ParameterError(
            f"the name {done[:20]!r}... has {len(done)} characters, more than {MAX_NAME}", where=where
        )
    return done


def parse_class(text: str, urn: str = MASK_URN) -> dict[str, Any]:
    """Parse NAME or NAME=#RRGGBB; ParameterError if it has neither form."""
    name, equals, color = text.rpartition("=") if "=" in text else (text, "", "")
    if not name.strip() or (equals and not re.fullmatch(r"#[0-9a-fA-F]{6}", color)):
        raise ParameterError("a class is written NAME or NAME=#RRGGBB", where=f"--class {text}")
    return entry(
        clean(name, f"--class {text}"), [int(color[i : i + 2], 16) for i in (1, 3, 5)] if color else (), urn
    )


def read_classes(path: Path, urn: str = MASK_URN) -> list[dict[str, Any]]:
    """Read a JSON or YAML list of names, or of mappings with a name and optionally id and def_color.

    Files that end with .names or .txt have one name per line; empty lines at their end are left out.
    """
    if path.suffix.lower() in (".names", ".txt"):
        return _lines(path, urn)
    given = read_document(path, "--classes")
    if isinstance(given, dict):
        given = given.get("classes")
    if not isinstance(given, list):
        raise ParameterError("a list of classes is needed", where=f"--classes {path}")
    return [_described(item, f"--classes {path}", urn) for item in given]


def _lines(path: Path, urn: str) -> list[dict[str, Any]]:
    where = f"--classes {path}"
    try:
        lines = read_text(existing(path, "--classes"), MAX_JSON).rstrip().splitlines()
    except StrictError as error:
        raise ParameterError(error.what, where=where, hint=error.hint) from error
    if not lines:
        raise ParameterError("it is empty", where=where)
    return [
        entry(clean(line, f"{where}, line {number}"), urn=urn) for number, line in enumerate(lines, start=1)
    ]


def from_metadata(words: Mapping[str, str]) -> tuple[str, ...]:
    """Return the class names that an ONNX file states in its metadata, cleaned; () if it states none.

    `names` is written by YOLO exporters as a Python dict or list; other tools write a JSON list, or one name per line.
    """
    for key in ("names", "classes", "class_names", "labels"):
        found = _named(words.get(key, ""))
        if found:
            return tuple(
                clean(name, f"metadata {key}") if name.strip() else f"class {index}"
                for index, name in enumerate(found)
            )
    return ()


def _named(text: str) -> tuple[str, ...]:
    """Parse names: a Python or JSON dict or list, or one per line. Runs no code."""
    if not text or len(text) > MAX_NAMES:
        return ()
    try:
        given = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        given = text.strip().splitlines() if "\n" in text.strip() else None
    if isinstance(given, dict):
        keyed = {str(key): value for key, value in given.items()}
        if sorted(keyed) != sorted(map(str, range(len(keyed)))):
            return ()
        given = [keyed[str(index)] for index in range(len(keyed))]
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        return ()
    return tuple(given)


def from_pipeline(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the classes of a cv-pipeline JSON. Classes without a colour keep none."""
    names = config.get("segmentationpostprocessing_classes", [])
    colors = config.get("segmentationpostprocessing_default_class_colours", [])
    if not isinstance(names, list) or not isinstance(colors, list):
        raise ParameterError("classes and colours must be lists", where="--cv-config")
    colors = colors + [[]] * (len(names) - len(colors))
    return [
        _described({"name": name, "def_color": color}, "--cv-config")
        for name, color in zip(names, colors, strict=False)
    ]


def check_names(classes: Sequence[Mapping[str, Any]], where: str) -> None:
    """Raise ParameterError if two classes have the same name or the same id."""
    for key, what in (("name", "is named"), ("id", "has the id")):
        for value in repeated(str(each[key]) for each in classes if key in each):
            raise ParameterError(
                f"more than one class {what} {value!r}", where=where,
                hint="Give each class a unique name and id: tables cannot distinguish them otherwise",
            )  # fmt: skip


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once, ignoring spaces around them."""
    return [name for name, count in Counter(each.strip() for each in names).items() if count > 1]


def read_document(path: Path, option: str) -> Any:
    """Read a JSON or YAML file; ParameterError naming `option` if it is neither."""
    try:
        return parse_either(read_text(existing(path, option), MAX_JSON))
    except StrictError as error:
        raise ParameterError(error.what, where=f"{option} {path}", hint=error.hint) from error


def _described(item: Any, where: str, urn: str = MASK_URN) -> dict[str, Any]:
    if isinstance(item, str):
        return entry(clean(item, where), urn=urn)
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise ParameterError(f"{item!r} is not a class: a name is needed", where=where)
    color = item.get("def_color") or []
    good = isinstance(color, list) and len(color) in (0, 3)
    if not good or not all(isinstance(c, int) and 0 <= c <= 255 for c in color):
        raise ParameterError(f"the colour {color!r} of {item['name']!r} is not [r, g, b]", where=where)
    made = entry(clean(item["name"], where), color, urn)
    if isinstance(item.get("id"), str):
        made["id"] = clean(item["id"], where)
    return made
