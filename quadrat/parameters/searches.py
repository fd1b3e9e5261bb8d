"""Parameters of the index of results, and of searches in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quadrat.parameters.declare import Group, parameter

SEARCH = "search"
"""The value of the parameter `task` that looks in an index. It is not the task of a model."""
FIND = ("matches", "duplicates", "outliers", "spread")


@dataclass(frozen=True, slots=True)
class SearchSettings(Group):
    """An index of what was found, and what is looked for in one."""

    title: ClassVar[str] = "search"
    about: ClassVar[str] = "An index of what was found, and what is looked for in one (task=search)."

    index: bool = parameter(
        "bool",
        "Deliver index.tgz: the pictures, frames and objects of the order with their classes, positions, vectors and "
        "thumbnails, to search in them later.",
        since="6",
    )
    find: str = parameter(
        "option",
        "What to find in the index: what is most like the given pictures or the given row, or else all rows that "
        "where selects (matches); groups of near-duplicates (duplicates); the rows least like any other (outliers); "
        "or the rows that together cover all others best, to label them next (spread).",
        default="matches",
        choices=FIND,
        since="6",
    )
    where: str = parameter(
        "string",
        "Look only among rows with these properties: class = fish and score > 0.5 and near(-34.9, 138.5, 2). The columns "
        "are class, score, cover, name, site, media, taken, frame, time, track, row, latitude, longitude, width, "
        "height and kind.",
        unset="",
        since="6",
    )
    like_row: int | None = parameter(
        "int",
        "Find what is most like this row of the index, as numbered in the column row of results.csv.",
        low=1,
        high=2**53,
        since="6",
    )
    max_results: int = parameter(
        "int",
        "Give at most this many rows for each picture, or groups of near-duplicates.",
        default=20,
        unit="rows",
        low=1,
        high=100_000,
        since="6",
    )
    min_similarity: float = parameter(
        "float",
        "Least similarity (cosine) of near-duplicates.",
        default=0.95,
        low=-1.0,
        high=1.0,
        since="6",
    )
