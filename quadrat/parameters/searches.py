"""Parameters of the index of results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quadrat.parameters.declare import Group, parameter


@dataclass(frozen=True, slots=True)
class SearchSettings(Group):
    """An index of what was found, and what is looked for in it."""

    title: ClassVar[str] = "search"
    about: ClassVar[str] = "An index of what was found, and what is looked for in it."

    index: bool = parameter(
        "bool",
        "Deliver index.tgz: the pictures, frames and objects of the order with their classes, positions, vectors and "
        "thumbnails, to search in them later.",
        since="6",
    )
