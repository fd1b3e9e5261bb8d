"""The enhancement task, with a network or without: then its prediction is the frame, to which the steps have been applied."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from quadrat import __version__
from quadrat.errors import QuadratError
from quadrat.geometry import Window
from quadrat.parameters import PictureSettings, TileSettings
from quadrat.predictions import Enhanced
from quadrat.tasks.enhance.network import NetworkPictures, make_network
from quadrat.types import Frame, ModelPackage, OutputSpec, Part

NAME = "enhance"


class StepsFold:
    """The fold of a frame that needs no network."""

    windows: tuple[Window | None, ...] = ()

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def add(self, number: int, _part: Part) -> None:
        """Raise QuadratError: there are no parts."""
        raise QuadratError(f"part {number} does not exist", where=self._frame.key.source)

    def finish(self) -> Enhanced:
        """Return the frame's pixels at working size."""
        return Enhanced(self._frame.pixels)


class Steps:
    """The task of an order without an archive."""

    name = NAME
    wanted: Sequence[str] = ()
    batched = True

    def start(self, frame: Frame) -> StepsFold:
        """Take a frame, which needs no parts."""
        return StepsFold(frame)


def make(
    package: ModelPackage, outputs: Sequence[OutputSpec], tiles: TileSettings, _pictures: PictureSettings
) -> Steps | NetworkPictures:
    """Make the task: that of the archive's network, or of an order without an archive. Raises what NetworkPictures raises."""
    return make_network(package, outputs, tiles) if package.engines else Steps()


def built_in() -> ModelPackage:
    """Return the package of an order without an archive; its digest stands for this version of quadrat."""
    digest = hashlib.sha256(f"quadrat {__version__} {NAME}".encode()).hexdigest()
    return ModelPackage(
        Path(), NAME, digest, NAME, engines={}, params=None, transforms=(), classes=(), num_classes=0, input_shape=(None, 3, None, None)
    )  # fmt: skip
