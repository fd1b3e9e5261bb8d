"""The self-test of masks: the labels that an archive states for an input, and whether an engine gives them."""

from __future__ import annotations

import numpy as np

from quadrat.geometry import Geometry
from quadrat.package.selftest import read_selftest
from quadrat.parameters import MaskSettings, PictureSettings, TileSettings
from quadrat.protocols import Engine
from quadrat.tasks.segment.task import make
from quadrat.types import Frame, FrameKey, ModelPackage, Part


def differs(package: ModelPackage, engine: Engine, allowed: float) -> str:
    """Return how an engine's labels differ from those of the archive's self-test, or "" if they agree.

    A share of `allowed` of the pixels may differ, or more if the archive allows it.
    """
    test = read_selftest(package, "labels")
    if test is None:
        return ""
    height, width = test.image.shape[2:]
    expected = test.arrays["labels"]
    if expected.shape != (1, height, width):  # several labels per pixel, or a self-test of another kind
        return ""
    task = make(package, engine.outputs, MaskSettings(), TileSettings(), PictureSettings())
    given = {name: array[0] for name, array in engine.run(test.image, task.wanted).items()}
    fold = task.start(
        Frame(FrameKey("self-test", 0), (height, width), np.zeros((height, width, 3), np.uint8))
    )
    fold.add(0, Part(given, Geometry.identity((height, width)), None))
    off = int((fold.finish().labels != expected[0]).sum())
    if off <= max(allowed, test.tolerance) * expected.size:
        return ""
    return f"{off} of {expected.size} pixels of the archive's self-test differ"
