"""The self-test of classifiers: the probabilities that an archive states for an input, and whether an engine gives them."""

from __future__ import annotations

import numpy as np

from quadrat.package.labels import read_labels
from quadrat.package.selftest import read_selftest
from quadrat.protocols import Engine
from quadrat.tasks.classify.reader import ScoreReader
from quadrat.types import ModelPackage


def differs(package: ModelPackage, engine: Engine, allowed: float) -> str:
    """Return how an engine's probabilities differ from those of the archive's self-test, or "" if they agree.

    They are those at a temperature of 1, so that calibrating an archive does not change them. Each may differ by `allowed`, or by more if the
    archive allows it.
    """
    test = read_selftest(package, "probabilities")
    if test is None:
        return ""
    reader = ScoreReader.of(package, engine.outputs, read_labels(package.meta), features=False)
    expected = test.arrays["probabilities"].reshape(-1)
    given = {name: array[0] for name, array in engine.run(test.image, reader.wanted).items()}
    found = reader.read(given, calibrated=False)
    if expected.shape != found.shape:
        return f"the archive's self-test has {len(expected)} probabilities, and the network {len(found)}"
    off = float(np.abs(found - expected).max())
    if off <= max(allowed, test.tolerance):
        return ""
    return f"a probability of the archive's self-test differs by {off:.3f}"
