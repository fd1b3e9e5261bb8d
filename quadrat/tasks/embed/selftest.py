"""The self-test of an embedding: the vector that an archive states for an input, and whether an engine gives it."""

from __future__ import annotations

import numpy as np

from quadrat.package.selftest import read_selftest
from quadrat.protocols import Engine
from quadrat.tasks.embed.task import VECTOR, unit, vector_output
from quadrat.types import ModelPackage


def differs(package: ModelPackage, engine: Engine, allowed: float) -> str:
    """Return how an engine's vector differs from that of the archive's self-test, or "" if they agree.

    Their cosine is at least 1 - `allowed`, or less if the archive allows it.
    """
    test = read_selftest(package, VECTOR)
    if test is None:
        return ""
    output = vector_output(package, engine.outputs)
    expected = unit(test.arrays[VECTOR], package.name)
    found = unit(engine.run(test.image, (output,))[output][0], package.name)
    if found.shape != expected.shape:
        return f"the vector has {len(found)} values, and that of the archive's self-test {len(expected)}"
    cosine = float(np.dot(expected.astype(np.float64), found))
    least = 1 - max(allowed, test.tolerance)
    return "" if cosine >= least else f"the cosine to the vector of the archive's self-test is {cosine:.3f}"
