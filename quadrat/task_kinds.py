"""Everything that other code needs to know about a task, in one record per task.

A record names the task's parts as `module:attribute`. Each room resolves the part that it uses, when it uses it, so
a record can name modules of every room without importing any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from quadrat.errors import ManifestError
from quadrat.parameters.searches import SEARCH

TASKS: dict[str, str] = {
    "segment": "quadrat.tasks.segment.kind:KIND",
    "detect": "quadrat.tasks.detect.kind:KIND",
    "classify": "quadrat.tasks.classify.kind:KIND",
    "embed": "quadrat.tasks.embed.kind:KIND",
    "enhance": "quadrat.tasks.enhance.kind:KIND",
}
"""All tasks, by the name that archives state. An archive that states none has the first."""


@dataclass(frozen=True, slots=True)
class TaskKind:
    """One task: its predictions, pictures and tables, and the code that makes them.

    `prediction` is the class of its predictions. `pictures` lists the pictures that can be drawn, by media
    ("image", "video", "stream"); the first is drawn by default. `groups` names the groups of settings that its parts
    receive, written as `*groups` here. Parts, as `module:attribute`:

    - `make(package, outputs, *groups) -> Task`;
    - `collector(model, source, folder, *groups) -> Collector`, which collects a model's results for one source;
    - `tables(model, names, folder, *groups) -> Tables`, which folds records into tables;
    - `annotate(frame, prediction, classes, pictures) -> picture`, which draws into a frame of a video;
    - `read_meta(meta)`, which checks the task's own part of an archive's meta.json;
    - `settings(package, settings) -> settings`, which returns the settings with the values in force that an archive states;
    - `is_empty(prediction, *groups) -> bool`, which returns True if nothing was found;
    - `fault(prediction, name) -> QuadratError | None`, which returns an error if a prediction is incomplete;
    - `differs(package, engine, allowed) -> str`, which compares an engine with the archive's self-test;
    - `entries(prediction, model, *groups) -> list of Entry`, which lists what features files and indexes hold of a
      prediction; `model` lists the classes;
    - `object_cells(prediction, classes, *groups) -> dict`, which gives the cells of one object in objects.csv by column, texts and numbers;
    - `object_class(prediction, *groups) -> (class index, score) | None`, which names the class of one object, if it can;
    - `object_names(package) -> classes`, which lists the classes that `object_class` can name, if there are more than
      those of the archive;
    - `built_in() -> ModelPackage`, which returns the package of an order with this task and without an archive.

    The last ten may be empty: the task then has no part of meta.json, archives that state no values of settings,
    cannot tell whether it found nothing, always predicts completely, has no self-test, has nothing for an index,
    cannot measure the objects of a detector, does not give an object a class, names only classes of the archive, and needs an archive. A task without
    pictures has no `annotate`.

    `endings` are the endings of its products' names, apart from annotated videos; names that an earlier run took are
    not used again. `class_urn` is the prefix of the URNs of classes that the archive gives none; `max_classes` is the most classes
    that a prediction can hold; `model_schema` is the `$schema` of an archive's meta.json. `tracks` is True if its
    objects can be tracked; `measures` is False if it makes pictures for people, and so has no place beside
    measurements; `shrinks` is True if whole images are shrunk to a million pixels unless max-img-size is given; `first_roles` are the roles of the outputs that an engine prepares at its start, empty for all;
    `compares_scales` is False if every picture is brought to one size, so that the scale of an order's images is no warning.
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
    endings: tuple[str, ...] = ()
    read_meta: str = ""
    settings: str = ""
    is_empty: str = ""
    fault: str = ""
    differs: str = ""
    entries: str = ""
    object_cells: str = ""
    object_class: str = ""
    object_names: str = ""
    built_in: str = ""
    measures: bool = True
    tracks: bool = False
    shrinks: bool = False
    first_roles: tuple[str, ...] = ()
    compares_scales: bool = True

    def part(self, name: str) -> Any:
        """Resolve the part that a field names; None if the task does not have it."""
        return resolve(getattr(self, name)) if getattr(self, name) else None

    def groups_of(self, settings: object) -> tuple[Any, ...]:
        """Return the groups of settings that the parts receive."""
        return tuple(getattr(settings, name) for name in self.groups)

    @property
    def all_pictures(self) -> tuple[str, ...]:
        """The names of all pictures that can be drawn of any media."""
        return tuple(dict.fromkeys(name for names in self.pictures.values() for name in names))


def resolve(reference: str) -> Any:
    """Import and return the object that `module:attribute` names."""
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


def kind_of(task: str, where: str = "") -> TaskKind:
    """Return the record of a task; ManifestError if there is no such task. `where` names the archive."""
    if task not in TASKS:
        raise ManifestError(
            f"its task {task!r} is not one that this version has",
            where=where,
            hint="It has: " + ", ".join(TASKS),
        )
    kind: TaskKind = resolve(TASKS[task])
    return kind


def needs_model(task: object) -> bool:
    """Return True unless an order with this task can do without an archive."""
    return task != SEARCH and (task not in TASKS or not kind_of(str(task)).built_in)


def default_task() -> str:
    """Return the task of an archive that states none, such as those of the original service."""
    return next(iter(TASKS))
