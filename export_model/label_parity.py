"""The self-test of classifiers: a drawing, and the probabilities that the network gives for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export_model.label_outputs import activated
from export_model.network import Network
from export_model.selftest import TRIES, picture
from quadrat.errors import ModelError

SHARES = 1e-3
"""How much a probability may differ between two engines that agree."""


def choose(network: Network) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Choose an input (1, C, h, w) float16 and return it with the network's probabilities (K,) at a temperature of 1.

    Of a few drawings, take the one whose probabilities differ most. ModelError if none gives numbers.
    """
    batch = network.shape[0] or 1
    role = next(role for role in ("logits", "scores") if role in network.outputs)
    tried = []
    for seed in range(TRIES):
        image = picture(seed, network.probe or network.shape)
        scores = network.run(image.astype(np.float32).repeat(batch, 0))[network.outputs[role]][:1]
        found = activated(scores, str(network.classify["activation"]))[0]
        if np.isfinite(found).all():
            both = np.array([1 - found[0], found[0]]) if len(found) == 1 else found
            tried.append((float(both.std()), seed, both.astype(np.float32)))
    if not tried:
        raise ModelError("the network gives NaN for every drawing", where=network.name)
    _, seed, probabilities = max(tried, key=lambda one: one[:2])
    return picture(seed, network.probe or network.shape), probabilities
