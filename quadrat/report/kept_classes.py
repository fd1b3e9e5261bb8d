"""The classes of objects that the tables of a model list."""

from __future__ import annotations

from quadrat.package.classes import class_of
from quadrat.parameters import ObjectSettings
from quadrat.report.base import ModelFacts
from quadrat.tasks.detect.chosen import chosen
from quadrat.types import ClassInfo


class KeptClasses:
    """The classes of a model by index, or those `kept` of them.

    A class without a name is named by its index. If only the number of classes is known, all of them are listed, so
    that the tables have a row of 0 for each class that an image lacks.
    """

    def __init__(self, model: ModelFacts) -> None:
        objects = next((one for one in model.groups if isinstance(one, ObjectSettings)), ObjectSettings())
        self.kept = chosen(objects, model.classes, model.num_classes)
        self._urn = model.kind.class_urn
        known = model.classes or [class_of({}, index, self._urn) for index in range(model.num_classes or 0)]
        self._known = {info.index: info for info in known if not self.kept or info.index in self.kept}

    def of(self, index: int) -> ClassInfo:
        """Return a class."""
        return self._known.setdefault(index, class_of(self._known, index, self._urn))

    def listed(self) -> list[ClassInfo]:
        """List the classes of the model, and then other classes that were found."""
        return list(self._known.values())
