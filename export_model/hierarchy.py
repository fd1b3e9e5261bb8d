"""Read a hierarchy of names, such as species, genera and families, from a CSV or JSON file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from export_model import labels
from export_model.network import existing
from quadrat.errors import HierarchyError, ParameterError
from quadrat.stores.strict import MAX_JSON, StrictError, read_text

Parents = dict[str, str | None]
COLUMNS = ("name", "parent")


def read(path: Path) -> Parents:
    """Return the parent of each name, None for a root.

    A CSV file has the columns name and parent, and an empty parent for a root. A JSON or YAML file holds
    {name: parent}, or a list of objects with these keys. `quadrat.package.labels` checks that the whole is a tree.
    Raises ParameterError for a file that is neither, and HierarchyError for a name with two parents.
    """
    where = f"--hierarchy {path}"
    if path.suffix.lower() in (".csv", ".tsv"):
        pairs = list(_lines(path, where))
    else:
        given = labels.read_document(path, "--hierarchy")
        pairs = list(given.items()) if isinstance(given, dict) else list(_objects(given, where))
    if not pairs:
        raise ParameterError("it names nothing", where=where)
    return _merged(pairs, where)


def _lines(path: Path, where: str) -> Iterable[tuple[Any, Any]]:
    try:
        text = read_text(existing(path, "--hierarchy"), MAX_JSON)
        table = csv.DictReader(
            io.StringIO(text.lstrip("\ufeff")),
            delimiter="\t" if path.suffix.lower() == ".tsv" else ",",
            strict=True,
        )
        if not set(COLUMNS) <= set(table.fieldnames or ()):
            raise ParameterError(
                f"its columns are {', '.join(table.fieldnames or ()) or 'none'}", where=where,
                hint="The first line is: name,parent",
            )  # fmt: skip
        return [(row["name"], row["parent"] or None) for row in table if any(row.values())]
    except StrictError as error:
        raise ParameterError(error.what, where=where, hint=error.hint) from error
    except csv.Error as error:
        raise ParameterError(f"it is no CSV file: {error}", where=where) from error


def _objects(given: Any, where: str) -> Iterable[tuple[Any, Any]]:
    if not isinstance(given, list) or not all(
        isinstance(each, dict) and set(each) <= set(COLUMNS) for each in given
    ):
        raise ParameterError(
            "a list of objects with name and parent is needed", where=where,
            hint='Write {"Amphiprion ocellaris": "Amphiprion", "Amphiprion": null}',
        )  # fmt: skip
    return [(each.get("name"), each.get("parent")) for each in given]


def _merged(pairs: Iterable[tuple[Any, Any]], where: str) -> Parents:
    """Return the parents by name; a name may be listed twice with the same parent."""
    made: Parents = {}
    for name, parent in pairs:
        if not isinstance(name, str) or not (parent is None or isinstance(parent, str)):
            raise ParameterError(f"{name!r} with the parent {parent!r} are not two names", where=where)
        own = labels.clean(name, where)
        above = labels.clean(parent, where) if parent is not None and parent.strip() else None
        if made.setdefault(own, above) != above:
            raise HierarchyError(
                f"{own!r} has two parents, {made[own]!r} and {above!r}", where=where,
                hint="Give each name one parent",
            )  # fmt: skip
    return made
