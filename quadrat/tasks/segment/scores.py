"""Scores per class -> one class and its probability per pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError, EngineRunError, ManifestError

Mask = tuple[NDArray[np.uint8], NDArray[np.float16] | None]
"""Labels (h, w) uint8 and their confidence (h, w) float16 in 0..1, or None."""

FLAT = 0.02
"""Scores that differ by no more than this over a picture are of a picture without content."""
BF16_SUM = 0.02
"""How far the sum of probabilities rounded to bf16 (8 significant bits) may be from 1."""


def decide(
    scores: NDArray[Any], *, probabilities: bool | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """Return the best class (h, w) uint8 and its probability (h, w) float16 from float scores (K, h, w).

    If the scores are `probabilities`, they are used as they are; otherwise a softmax over K makes them so. None
    decides by their values: those in 0..1 that do not sum to 1 are independent probabilities, and a softmax
    would make nonsense of them. Ties go to the lower class, as in argmax. Raises ClassesError for fewer than two channels,
    ManifestError for independent probabilities, EngineRunError if the best score of any pixel is NaN or infinite.
    """
    check_count(scores)
    best = scores[0].astype(np.float32)
    labels = np.zeros(best.shape, np.uint8)
    for index in range(1, scores.shape[0]):
        higher = scores[index] > best
        labels[higher] = index
        np.maximum(best, scores[index], out=best)
    check_finite(best)
    if probabilities is None:
        probabilities = are_probabilities(scores)
        if not probabilities:
            refuse_independent(scores)
    if probabilities:
        return labels, np.minimum(best, 1).astype(np.float16)
    total = np.zeros_like(best)
    for plane in scores:
        total += np.exp(plane.astype(np.float32) - best)
    return labels, (1.0 / total).astype(np.float16)


def are_probabilities(scores: NDArray[Any]) -> bool:
    """Return True if scores (K, h, w) are at least 0 and sum to 1 at every pixel, within BF16_SUM."""
    total = scores.sum(axis=0, dtype=np.float32)
    return float(scores.min()) >= 0 and np.allclose(total, 1.0, atol=BF16_SUM)


def are_independent(scores: NDArray[Any]) -> bool:
    """Return True if scores (K, h, w) are all in 0..1 without being `are_probabilities`.

    A flat picture is no evidence: each of its logits has one value, which may well be in 0..1.
    """
    low, high = float(scores.min()), float(scores.max())
    if not 0 <= low < high <= 1 or are_probabilities(scores):
        return False
    return bool((scores.max(axis=(1, 2)) - scores.min(axis=(1, 2))).max() > FLAT)


def refuse_independent(scores: NDArray[Any]) -> None:
    """Raise ManifestError for independent probabilities: the archive must state how they make classes."""
    if are_independent(scores):
        raise ManifestError(
            "its scores are from 0 to 1 but do not sum to 1: they are probabilities of independent classes, and the "
            "archive does not state how they make classes",
            where="meta.json: segment",
            hint='Export the model again, or state {"activation": "none"} with "multi-label": true or a "background"',
        )


def check_count(scores: NDArray[Any]) -> None:
    """Raise ClassesError for scores (K, h, w) with K < 2: one channel leaves nothing to choose from."""
    if len(scores) < 2:
        raise ClassesError(f"the network gives scores of {len(scores)} channel; two or more are needed")


def check_finite(best: NDArray[Any]) -> None:
    """Raise EngineRunError if a best score is NaN or infinite; minus infinity for other classes is fine."""
    if not np.isfinite(best).all():
        raise EngineRunError("the network gave NaN or infinite scores")
