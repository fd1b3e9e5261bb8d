"""The self-test of masks: an input with known labels, stored in the archive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model.network import F32, Shape
from quadrat.package.masks import MaskWords
from quadrat.tasks.segment.independent import as_probabilities
from quadrat.tasks.segment.reader import OutputReader

HW = (96, 128)
TRIES = 8


def labels_of(given: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert scores (N, K, H, W), or labels of any integer type, to labels (N, H, W) uint8."""
    if np.issubdtype(given.dtype, np.floating):
        given = given.argmax(1)
    elif given.ndim == 4:
        given = given[:, 0]
    return given.astype(np.uint8)


def choose(
    run: Callable[[F32], NDArray[Any]],
    shape: Shape,
    words: MaskWords | None = None,
    num_classes: int | None = None,
) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Choose an input (1, C, h, w) float16 and return it with the network's labels (1, h, w) uint8.

    If `words` state thresholds, these decide. The labels of a network with several classes per pixel are the mask of
    each, (1, K, h, w). Engines round the last bits differently, so a pixel whose two best scores nearly tie is no
    evidence. Of a few inputs, take the one whose closest pixel is furthest from a tie, and prefer inputs with more
    than one class.
    """
    tried = []
    for seed in range(TRIES):
        image = picture(seed, shape)
        given = run(image.astype(np.float32))
        if words is not None and given.ndim == 4 and words.activation not in (None, "softmax"):
            labels, margin = by_words(given, words, num_classes)
        else:
            labels, margin = labels_of(given), _margin(given)
        tried.append(((np.unique(labels).size > 1, margin), image, labels))
        if given.ndim == 3:  # only labels: there is no margin to compare
            break
    _, image, labels = max(tried, key=lambda one: one[0])
    return image, labels


def by_words(
    scores: NDArray[Any], words: MaskWords, num_classes: int | None
) -> tuple[NDArray[np.uint8], float]:
    """Return the labels of scores (1, K, h, w) as an archive states them, and the smallest distance to a threshold."""
    reader = OutputReader("", num_classes, {"logits": "logits"}, words)
    found = reader.decide(scores[0])
    known = as_probabilities(scores[0], words.activation)
    margin = float(min(np.abs(known - limit).min() for limit in words.thresholds(len(known))))
    if found.members is not None:
        return (found.members > 0).astype(np.uint8).transpose(2, 0, 1)[None], margin
    return found.labels[None], margin


def picture(seed: int, shape: Shape) -> NDArray[np.float16]:
    """Draw smooth hills with steps, (1, C, h, w) float16 in -1..1, in steps of 1/64 so that it compresses well."""
    channels = shape[1] or 3
    height, width = (size or default for size, default in zip(shape[2:], HW, strict=True))
    rng = np.random.default_rng(seed)
    rows, columns = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None, :]
    planes = np.zeros((channels, height, width))
    for channel in range(channels):
        for _ in range(4):
            a, b, phase = rng.uniform(-9, 9), rng.uniform(-9, 9), rng.uniform(0, 6)
            planes[channel] += rng.uniform(0.1, 0.5) * np.sin(a * rows + b * columns + phase)
    top, left = int(rng.integers(height // 2 + 1)), int(rng.integers(width // 2 + 1))
    planes[:, top : top + height // 3, left : left + width // 3] += rng.uniform(-0.8, 0.8, (channels, 1, 1))
    return (np.rint(np.clip(planes, -1, 1) * 64) / 64).astype(np.float16)[None]


def _margin(scores: NDArray[Any]) -> float:
    """Return the smallest gap between the two best scores of any pixel, relative to the spread of the scores."""
    if not np.issubdtype(scores.dtype, np.floating) or scores.shape[1] < 2:
        return 0.0
    ordered = np.partition(scores, -2, axis=1)
    return float((ordered[:, -1] - ordered[:, -2]).min() / (scores.std() + 1e-12))
