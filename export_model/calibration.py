"""Fit the temperature of a classifier, measure its calibration, and choose a threshold by a preference.

Probabilities are (N, K) float64 of N images and K classes; `truth` (N, K) bool says which classes each image has. The
temperature T divides logits; softmax(z / T) keeps their order, so that calibration never changes which class is best.
Sources: Guo et al., "On calibration of modern neural networks" (2017), for the temperature and the expected calibration
error (ECE).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from quadrat.errors import ParameterError

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures that are tried."""
FLAT = 1e-9
"""If the likelihood at a limit is as good as the best one within this, the best one was not found but stopped."""
BINS = 15
TINY = 1e-38
"""Least probability whose logarithm is taken."""
ROUND = 2.0**-24
"""The same for independent labels, near 0 and near 1."""
DIGITS = 6
"""Decimals of a temperature and of thresholds."""
MOST = 2000
"""The most thresholds that are tried, evenly by rank."""


def as_logits(probabilities: F64, *, independent: bool) -> F64:
    """Return values whose softmax, or sigmoid for independent labels, gives the probabilities."""
    if independent:
        known = np.clip(probabilities, ROUND, 1 - ROUND)
        return np.asarray(np.log(known) - np.log1p(-known))
    return np.asarray(np.log(np.maximum(probabilities, TINY)))


def tempered(logits: F64, temperature: float, *, independent: bool) -> F64:
    """Return the probabilities of logits at a temperature."""
    values = logits / temperature
    if independent:
        return np.asarray(1 / (1 + np.exp(-values)))
    shares = np.exp(values - values.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def nll(probabilities: F64, truth: Bools, *, independent: bool) -> float:
    """Return the mean negative log-likelihood of the truth, per image, or per image and class if independent."""
    right = np.log(np.maximum(np.where(truth, probabilities, 1 - probabilities), TINY))
    return float(-right.mean() if independent else -right[truth].mean())


def fit(logits: F64, truth: Bools, *, independent: bool) -> float:
    """Return the temperature with the least negative log-likelihood, from LOWEST to HIGHEST.

    Raises ParameterError if the best one is at a limit: the images then do not determine it.
    """

    def loss(log_t: float) -> float:
        return nll(
            tempered(logits, float(np.exp(log_t)), independent=independent), truth, independent=independent
        )

    low, high = np.log(LOWEST), np.log(HIGHEST)
    best = float(
        np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6}).x)
    )
    if loss(low) <= loss(float(np.log(best))) + FLAT:
        raise ParameterError(
            f"the likelihood keeps rising down to a temperature of {LOWEST}: the classifier is right on all of them, "
            "which does not tell how often it is wrong",
            where="images", hint="Add images that are as difficult as those that it will measure",
        )  # fmt: skip
    if loss(high) <= loss(float(np.log(best))) + FLAT:
        raise ParameterError(
            f"the likelihood keeps rising up to a temperature of {HIGHEST:g}: its probabilities say nothing about them",
            where="images", hint="Check that the labels belong to the images",
        )  # fmt: skip
    return best


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """How often a classifier is right at each confidence: for bins of equal width, from 0 to 1.

    `confidence` and `accuracy` (BINS,) are means, NaN for an empty bin; `count` (BINS,); `ece` is the mean of their
    distance, weighted by the count.
    """

    confidence: F64
    accuracy: F64
    count: NDArray[np.int64]
    ece: float


def reliability(probabilities: F64, truth: Bools, *, independent: bool, bins: int = BINS) -> Reliability:
    """Compare the confidence in the best class with its truth; for independent labels, in every class."""
    best = probabilities.argmax(1)
    rows = np.arange(len(best))
    values = probabilities.ravel() if independent else probabilities[rows, best]
    right = truth.ravel() if independent else truth[rows, best]
    place = np.minimum((values * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, values, bins) / count
        accuracy = np.bincount(place, right, bins) / count
    held = count > 0
    ece = float((np.abs(confidence - accuracy)[held] * count[held]).sum() / len(values))
    return Reliability(confidence, accuracy, count, ece)


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold, and the precision and recall of its class on the images that it was chosen on."""

    threshold: float
    precision: float
    recall: float


def choose(
    scores: F64,
    holds: Bools,
    decide: Callable[[float], Bools],
    *,
    recall: float | None,
    precision: float | None,
) -> Choice:
    """Choose the threshold of a class: the highest with a `recall`, or that of the best recall with a `precision`.

    `scores` (N,) are its probabilities, `holds` (N,) says which images have it, and `decide(threshold)` (N,) which are
    given its label. Raises ParameterError if no threshold fits.
    """
    tried = [_measured(limit, decide(limit), holds) for limit in _limits(scores)]
    if recall is not None:
        fitting = [one for one in tried if one.recall >= recall]
        found = max(fitting, key=lambda one: one.threshold, default=None)
        wanted = f"a recall of {recall:g}"
    else:
        fitting = [one for one in tried if one.precision >= (precision or 0)]
        found = max(fitting, key=lambda one: (one.recall, one.threshold), default=None)
        wanted = f"a precision of {precision:g}"
    if found is None:
        best = max(tried, key=lambda one: (one.precision, one.recall))
        raise ParameterError(
            f"no threshold reaches {wanted}: the best precision is {best.precision:.3f}, at a recall of {best.recall:.3f}",
            where="--recall, --precision", hint="Ask for less, or train the network further",
        )  # fmt: skip
    return found


def _limits(scores: F64) -> list[float]:
    """Return a threshold between any two neighbouring scores, or MOST of them, rounded so that meta.json states it exactly."""
    known = np.unique(np.concatenate([[0.0], scores, [1.0]]))
    between = np.unique(np.round((known[1:] + known[:-1]) / 2, DIGITS))
    inside = between[(between > 0) & (between < 1)]
    if len(inside) > MOST:
        inside = inside[np.linspace(0, len(inside) - 1, MOST).round().astype(np.int64)]
    return [float(limit) for limit in inside]


def _measured(limit: float, found: Bools, holds: Bools) -> Choice:
    both, given = int((found & holds).sum()), int(found.sum())
    return Choice(limit, both / given if given else 0.0, both / max(1, int(holds.sum())))
