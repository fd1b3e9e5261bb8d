"""Independent probabilities per class -> the classes of each pixel, by thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import EngineRunError
from quadrat.predictions import UNKNOWN
from quadrat.tasks.segment.scores import check_finite

RANGE = 1e-3
"""How far rounding may take a probability out of 0..1."""


def as_probabilities(scores: NDArray[Any], activation: str | None) -> NDArray[np.float32]:
    """Return the probabilities (K, h, w) float32 of scores (K, h, w).

    `activation` is "softmax" over K, "sigmoid", or "none" for scores that are probabilities. Raises EngineRunError for
    NaN, for a best score that is infinite, and for scores outside 0..1 that are stated to be probabilities.
    """
    values = scores.astype(np.float32)
    if np.isnan(values).any():
        raise EngineRunError("the network gave NaN or infinite scores")
    if activation == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), np.float32)  # does not overflow
    if activation == "softmax":
        best = values.max(axis=0)
        check_finite(best)
        values = np.exp(values - best)
        return np.asarray(values / values.sum(axis=0), np.float32)
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low < -RANGE or high > 1 + RANGE:
        raise EngineRunError(
            f"the network gave a score of {low if low < -RANGE else high:.3g}, but the archive states that scores are "
            "probabilities",
            hint="Export the model again with --activation sigmoid or softmax",
        )
    return np.clip(values, 0, 1)


def members(probabilities: NDArray[np.float32], thresholds: tuple[float, ...]) -> NDArray[np.float16]:
    """Return the probability (h, w, K) float16 of each class where it is over its threshold, and 0 elsewhere."""
    over = probabilities > np.array(thresholds, np.float32)[:, None, None]
    return np.ascontiguousarray(np.where(over, probabilities, 0).transpose(1, 2, 0), np.float16)


def best_member(
    probabilities: NDArray[np.float32], thresholds: tuple[float, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """Return the best channel over its threshold (h, w) uint8, UNKNOWN if none is, and the confidence (h, w) float16.

    The confidence is the channel's probability or, where no channel is over its threshold, the probability that the
    best one is wrong. Ties go to the lower channel.
    """
    over = probabilities > np.array(thresholds, np.float32)[:, None, None]
    eligible = np.where(over, probabilities, -1)
    labels = eligible.argmax(axis=0).astype(np.uint8)
    best = eligible.max(axis=0)
    none = best < 0
    labels[none] = UNKNOWN
    return labels, np.where(none, 1 - probabilities.max(axis=0), best).astype(np.float16)
