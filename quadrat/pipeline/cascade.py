"""Which models measure whole frames, and which measure the objects that a detector finds in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from quadrat.errors import CascadeError, ManifestError, ParameterError
from quadrat.package.masks import read_masks
from quadrat.package.objects import ObjectWords, read_objects
from quadrat.parameters import ObjectSettings
from quadrat.predictions import Embedding, Segmentation
from quadrat.task_kinds import kind_of
from quadrat.tasks.detect.chosen import chosen
from quadrat.tracking import compares_appearance
from quadrat.types import ClassInfo, ModelPackage


@dataclass(frozen=True, slots=True)
class AboutObjects:
    """What a model that is about objects measures: those of `detector`, as its archive's `words` state.

    `classes` are the indices of the detector's classes whose objects it measures, empty for all; `parts` are the
    model's classes that can be part of an object, without the background of a mask.
    """

    detector: str
    words: ObjectWords = field(default_factory=ObjectWords)
    classes: frozenset[int] = frozenset()
    parts: tuple[ClassInfo, ...] = ()


def cascades_of(packages: Mapping[str, ModelPackage], tracker: str = "none") -> dict[str, AboutObjects]:
    """Return, by name, the models that are about objects; `packages` are all models of a run by name.

    Raises CascadeError if there is not exactly one detector for them, or if `tracker` could compare the vectors of
    several, and ManifestError for a class filter that
    the detector does not have and for a mask without a stated background.
    """
    words = {name: read_objects(package.meta) for name, package in packages.items()}
    about = {name: each for name, each in words.items() if each is not None}
    if not about:
        return {}
    found = [name for name in packages if name not in about and kind_of(packages[name].task).tracks]
    detector = _only(found, next(iter(about)))
    if compares_appearance(tracker):
        _check_vectors([name for name in about if kind_of(packages[name].task).prediction is Embedding])
    return {
        name: AboutObjects(
            detector,
            each,
            frozenset(_filter(each, name, detector, packages[detector])),
            _parts(each, packages[name]),
        )
        for name, each in about.items()
    }


def distinct_names(packages: Sequence[ModelPackage], label: Callable[[str], str]) -> list[str]:
    """Return the names of models; `label` turns one into a part of the names of files.

    Different names with equal labels, as in "a b" and "a-b", are numbered. Raises CascadeError if two models have one
    name, whatever its case.
    """
    seen: dict[str, ModelPackage] = {}
    for package in packages:
        other = seen.setdefault(package.name.casefold(), package)
        if other is not package:
            raise _same(other, package)
    given: list[str] = []
    for package in packages:
        number, candidate = 1, package.name
        while label(candidate).casefold() in [label(other).casefold() for other in given]:
            number += 1
            candidate = f"{package.name}-{number}"
        given.append(candidate)
    return given


def _same(other: ModelPackage, package: ModelPackage) -> CascadeError:
    """Return the error of two models of one name."""
    if other.digest == package.digest:
        return CascadeError(
            f"the archive of the model {package.name!r} is given twice", hint="Give each archive once"
        )
    return CascadeError(
        f"two models have the name {package.name!r}, so that their results cannot be told apart",
        hint="Export one of them with another --name, or give them in different orders",
    )


def _only(found: Sequence[str], model: str) -> str:
    """Return the only detector."""
    if not found:
        raise CascadeError(
            f"the model {model!r} is about objects, but no model finds any",
            hint="Give a detector with it: --models detector.tgz,classifier.tgz",
        )
    if len(found) > 1:
        raise CascadeError(
            f"the model {model!r} is about objects, and there are several detectors: {', '.join(found)}",
            hint="Give one of these detectors in each order",
        )
    return found[0]


def _check_vectors(names: Sequence[str]) -> None:
    """Raise CascadeError if several models give vectors of objects: the choice of one would change the tracks."""
    if len(names) > 1:
        raise CascadeError(
            f"the tracker compares the vectors of one model, and several give vectors of objects: {', '.join(names)}",
            hint="Give one of them in each order, or choose a tracker that follows by motion alone, such as bytetrack",
        )


def _filter(words: ObjectWords, name: str, detector: str, package: ModelPackage) -> tuple[int, ...]:
    """Return the indices of the detector's classes that a filter names."""
    try:
        return tuple(
            index
            for each in words.classes
            for index in chosen(ObjectSettings(classes=each), package.classes, package.num_classes)
        )
    except ParameterError as error:
        raise ManifestError(
            f"it names a class that the detector {detector!r} does not have: {error.what}",
            where=f"{name}: meta.json: objects.classes",
            hint=error.hint,
        ) from None


def _parts(words: ObjectWords, package: ModelPackage) -> tuple[ClassInfo, ...]:
    """Return the classes that can be part of an object: all, without the class that is the background of a mask."""
    background, names = words.background, kind_of(package.task).part("object_names")
    classes: tuple[ClassInfo, ...] = package.classes if names is None else names(package)
    if words.stated and background is None:
        return classes
    if background is not None:
        alike = [each for each in classes if background in (each.index, each.name, each.id)]
        if not alike:
            raise ManifestError(
                f"the model has no class {background!r}",
                where=f"{package.name}: meta.json: objects.background",
            )
        return tuple(each for each in classes if each not in alike)
    if kind_of(package.task).prediction is Segmentation:
        return _foreground(package)
    return classes


def _foreground(package: ModelPackage) -> tuple[ClassInfo, ...]:
    """Return the classes of a mask without its background, which the archive states for its scores, or in its name."""
    masks = read_masks(package.meta)
    if not package.classes:
        raise ManifestError(
            "the archive does not list its classes, so that it is not known which are part of an object",
            where=f"{package.name}: meta.json: classes",
        )
    if masks.multi_label:
        return package.classes
    named = [each.index for each in package.classes if each.name.casefold() == "background"]
    background = masks.background if masks.background is not None else next(iter(named), None)
    if background is None:
        raise ManifestError(
            "it does not state which class is not part of an object",
            where=f"{package.name}: meta.json: objects.background",
            hint='Write the name of the class, as in {"background": "sand"}, or null if every class is part of it',
        )
    return tuple(each for each in package.classes if each.index != background)
