"""The self-test of networks that make pictures: whether an engine makes the archive's picture, and keeps its reach."""

from __future__ import annotations

import numpy as np

from quadrat.geometry import HW
from quadrat.package.selftest import read_selftest
from quadrat.parameters import TileSettings
from quadrat.protocols import Engine
from quadrat.tasks.enhance.network import make_network
from quadrat.tasks.enhance.picture import read_picture, to_levels
from quadrat.tasks.enhance.reach import probe_reach
from quadrat.types import ModelPackage

LEVELS = 2
"""Largest difference of a value of 0..255 between engines."""


def differs(package: ModelPackage, engine: Engine, allowed: float) -> str:
    """Return how an engine's picture differs from that of the archive's self-test, or "" if they agree.

    A share of `allowed` of the values may differ by more than LEVELS, or more if the archive allows it. A pixel of
    the input may only change the result within the reach that the archive states.
    """
    test = read_selftest(package, "picture")
    if test is None:
        return ""
    task = make_network(package, engine.outputs, TileSettings())
    words = task.words
    hw: HW = (test.image.shape[2], test.image.shape[3])
    expected = test.arrays["picture"]
    levels = to_levels(read_picture(engine.run(test.image, task.wanted)[task.wanted[0]][0], hw, words), words)
    if levels.shape != expected.shape:
        return f"its picture has the shape {levels.shape}, that of the archive's self-test {expected.shape}"
    off = int((np.abs(levels.astype(np.int16) - expected.astype(np.int16)) > LEVELS).sum())
    if off > max(allowed, test.tolerance) * expected.size:
        return f"{off} of {expected.size} values of the archive's self-test differ by more than {LEVELS}"
    if words.reach is None:
        return ""
    seen = probe_reach(engine, task.wanted[0], task.noise(), words)
    return f"a pixel changes the result {seen} pixels away, not {words.reach}" if seen > words.reach else ""
