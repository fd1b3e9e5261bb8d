"""The classification task: checks a network against its archive, and starts a fold for each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from quadrat.errors import QuadratError
from quadrat.geometry import Window
from quadrat.media.scratch import LARGE_PIXELS
from quadrat.package.labels import read_labels
from quadrat.parameters import SEARCH, LabelSettings, Settings
from quadrat.predictions import Classification
from quadrat.task_kinds import kind_of
from quadrat.tasks.classify.reader import ScoreReader
from quadrat.tasks.classify.rule import LabelRule
from quadrat.tasks.parts import ReceivedParts
from quadrat.types import Frame, ModelPackage, OutputSpec, Part


class LabelFold:
    """The fold of a frame that a classifier sees whole, in one part."""

    windows: tuple[Window | None, ...] = (None,)

    def __init__(self, frame: Frame, reader: ScoreReader, rule: LabelRule) -> None:
        self._reader = reader
        self._rule = rule
        self._received = ReceivedParts(frame.key, 1)
        self._found: Classification | None = None

    def add(self, number: int, part: Part) -> None:
        """Read the only part. Raises what ScoreReader raises."""
        self._received.mark(number)
        scores = self._reader.read(part.arrays)
        self._found = self._rule.classify(scores, self._reader.read_features(part.arrays))

    def finish(self) -> Classification:
        """Return the labels of the frame."""
        self._received.check_complete()
        if self._found is None:
            raise QuadratError("the frame has no labels")
        return self._found


class Classify:
    """The labels of a frame. With `vectors`, it takes the features too, if the archive has them.

    Raises what ScoreReader.of and read_labels raise.
    """

    name = "classify"
    batched = True

    def __init__(
        self,
        package: ModelPackage,
        outputs: Sequence[OutputSpec],
        settings: LabelSettings,
        *,
        vectors: bool = False,
    ) -> None:
        words = read_labels(package.meta)
        wanted = settings.features or (vectors and "features" in package.outputs)
        self._reader = ScoreReader.of(package, outputs, words, features=wanted)
        urn = kind_of(package.task).class_urn
        self._rule = LabelRule.of(package.meta, package.classes, self._reader.count, urn, settings)
        self.wanted = self._reader.wanted

    def start(self, frame: Frame) -> LabelFold:
        """Return the fold that labels a frame, which is one part."""
        return LabelFold(frame, self._reader, self._rule)


def settings_in_force(_package: ModelPackage, settings: Settings) -> Settings:
    """Return the settings with the size that larger images are shrunk to, if max-img-size is not given.

    A classifier sees the whole picture at a few hundred pixels; a mosaic would not fit into memory on the way.
    """
    if settings.frames.max_img_size is not None:
        return settings
    return replace(settings, frames=replace(settings.frames, max_img_size=LARGE_PIXELS))


def make(package: ModelPackage, outputs: Sequence[OutputSpec], *groups: Any) -> Classify:
    """Make the task from the groups of settings that KIND names. Raises what Classify raises."""
    labels, _pictures, search, order = groups
    return Classify(package, outputs, labels, vectors=search.index or order.task == SEARCH)
