"""What the rest of the code needs to know of a task: one record for each, found here by name.

A record names the task's parts as `module:attribute`. Each room resolves the part that it uses when it uses it, so
that a record can name modules of every room without importing one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from quadrat.errors import ManifestError

TASKS: dict[str, str] = {
    "segment": "quadrat.tasks.segment.kind:KIND",
    "detect": "quadrat.tasks.detect.kind:KIND",
}
"""Every task, by the name that an archive gives it. The first is that of an archive which names none."""


@dataclass(frozen=True, slots=True)
class TaskKind:
    """One task: what it makes, what can be drawn and tabulated of it, and how it is set up.

    `prediction` is the class of its predictions. `pictures` names the pictures that can be drawn, by media ("image",
    "video", "stream"); the first is drawn by default. `groups` names the groups of settings that its parts receive,
    written as `*groups` here. Parts, as `module:attribute`:

    - `make(package, outputs, *groups) -> Task`;
    - `collector(model, source, folder, *groups) -> Collector`, which gathers what a model finds in one source;
    - `tables(model, names, folder, *groups) -> Tables`, which folds records into tables;
    - `annotate(frame, prediction, classes) -> picture`, which draws into a frame of a video;
    - `read_meta(meta)`, which checks the task's own part of an archive's meta.json; empty if it has none;
    - `is_empty(prediction, *groups) -> bool`: True if a frame shows nothing; empty if that cannot be known;
    - `fault(prediction, name) -> QuadratError | None`: why a prediction is not the whole truth; empty if it always is.

    `class_urn` begins the URNs of classes that have none; `max_classes` is the most classes that a prediction can
    hold; `model_schema` is the `$schema` of an archive's meta.json. `tracks` is True if its objects can be tracked;
    `shrinks` if whole images are shrunk to a million pixels unless max-img-size is given; `first_roles` are the
    outputs that an engine prepares for, empty for all of them.
    """

    name: str
    prediction: type
    pictures: Mapping[str, tuple[str, ...]]
    groups: tuple[str, ...]
    make: str
    collector: str
    tables: str
    annotate: str
    class_urn: str
    max_classes: int
    model_schema: str
    read_meta: str = ""
    is_empty: str = ""
    fault: str = ""
    tracks: bool = False
    shrinks: bool = False
    first_roles: tuple[str, ...] = ()

    def part(self, name: str) -> Any:
        """Give one of its parts, by the field that names it; None if the task does not have it."""
        return resolve(getattr(self, name)) if getattr(self, name) else None

    def groups_of(self, settings: object) -> tuple[Any, ...]:
        """Give the groups of settings that the parts receive."""
        return tuple(getattr(settings, name) for name in self.groups)

    @property
    def all_pictures(self) -> tuple[str, ...]:
        """The names of all pictures that can be drawn of any media."""
        return tuple(dict.fromkeys(name for names in self.pictures.values() for name in names))


def resolve(reference: str) -> Any:
    """Give what `module:attribute` names."""
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


def kind_of(task: str, where: str = "") -> TaskKind:
    """Give the record of a task; ManifestError if there is no such task. `where` names the archive."""
    if task not in TASKS:
        raise ManifestError(
            f"its task {task!r} is not one that this version has",
            where=where,
            hint="It has: " + ", ".join(TASKS),
        )
    kind: TaskKind = resolve(TASKS[task])
    return kind


def default_task() -> str:
    """Give the task of an archive that names none, as those of the original service."""
    return next(iter(TASKS))
