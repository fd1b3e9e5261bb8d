"""Labelled images: which classes each has, by its folder or by a CSV file, and what an archive gives for them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ParameterError
from quadrat.stores.listing import list_images
from quadrat.stores.strict import MAX_JSON, StrictError, read_text
from quadrat.types import Source

COLUMNS = ("image", "label")
SEPARATOR = ";"


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """N images by path, and `truth` (N, K) bool; `where` is what they were read from."""

    paths: tuple[Path, ...]
    truth: NDArray[np.bool_]
    where: Path
    several: bool


def read(folder: Path, table: Path | None, names: Sequence[str], *, several: bool) -> Images:
    """List the images of `folder` with their classes: by `table`, a CSV file, or by the folders that they are in.

    A folder has the name of a class, or the same with hyphens or underscores for spaces, in any case. With `several`,
    an image can have several labels or none. Raises ParameterError for a label that is no class, a file that is
    missing or listed twice, and a table without its columns.
    """
    if not folder.is_dir():
        raise ParameterError("there is no such folder", where=str(folder))
    places = _places(names, where=table or folder)
    pairs = list(_listed(folder, table) if table else _in_folders(folder, several=several))
    where = table or folder
    if not pairs:
        raise ParameterError("it has no images", where=str(where))
    truth = np.zeros((len(pairs), len(names)), np.bool_)
    for row, (path, labels) in enumerate(pairs):
        for label in labels:
            if _plain(label) not in places:
                raise ParameterError(
                    f"{label!r}, the label of {path.name}, is none of the archive's classes: {', '.join(names[:20])}",
                    where=str(where),
                )
            truth[row, places[_plain(label)]] = True
        if not several and truth[row].sum() != 1:
            raise ParameterError(f"{path.name} has {len(labels)} labels, not one", where=str(where))
    paths = tuple(path for path, _ in pairs)
    if len(set(paths)) != len(paths):
        raise ParameterError("it lists an image twice", where=str(where))
    return Images(paths, truth, where, several)


def measure(archive: Path, paths: Sequence[Path]) -> NDArray[np.float64]:
    """Return the probabilities (N, K) that an archive gives for images, measured as in an order.

    Raises the error of the first image that cannot be measured.
    """
    from predictor import Predictor

    with Predictor(archive) as predictor:
        found = [each.found.scores for each in predictor.predict(paths)]
    if len(found) != len(paths):
        raise ParameterError(
            f"{len(paths) - len(found)} of {len(paths)} files are not images", where=str(paths[0].parent),
            hint="List images only",
        )  # fmt: skip
    return np.array(found, np.float64)


def _places(names: Sequence[str], where: Path) -> dict[str, int]:
    """Return the index of each class by its plain name. Raises ParameterError if two have one."""
    places: dict[str, int] = {}
    for index, name in enumerate(names):
        other = places.setdefault(_plain(name), index)
        if other != index:
            raise ParameterError(
                f"a folder or label cannot tell the classes {names[other]!r} and {name!r} apart", where=str(where),
                hint="Hyphens, underscores and spaces are read alike, and so are capital and small letters",
            )  # fmt: skip
    return places


def _plain(name: str) -> str:
    return " ".join(name.replace("-", " ").replace("_", " ").casefold().split())


def _in_folders(folder: Path, *, several: bool) -> Iterator[tuple[Path, tuple[str, ...]]]:
    if several:
        raise ParameterError(
            "images of a classifier with several labels are not in folders", where=str(folder),
            hint="Give --labels CSV with the columns image and label, and semicolons between labels",
        )  # fmt: skip
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        for item in list_images(place):
            if isinstance(item, Source):
                yield Path(item.token), (place.name,)


def _listed(folder: Path, table: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    try:
        text = read_text(table, MAX_JSON)
        rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), strict=True)
        if not set(COLUMNS) <= set(rows.fieldnames or ()):
            raise ParameterError(
                f"its columns are {', '.join(rows.fieldnames or ()) or 'none'}", where=str(table),
                hint="The first line is: image,label",
            )  # fmt: skip
        for row in rows:
            path = folder / row["image"]
            if not path.is_file():
                raise ParameterError(f"there is no image {row['image']!r} in {folder}", where=str(table))
            yield (
                path,
                tuple(label.strip() for label in (row["label"] or "").split(SEPARATOR) if label.strip()),
            )
    except StrictError as error:
        raise ParameterError(error.what, where=str(table), hint=error.hint) from error
    except csv.Error as error:
        raise ParameterError(f"it is no CSV file: {error}", where=str(table)) from error
