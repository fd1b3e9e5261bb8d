"""The self-test of detectors: a picture and the objects that the network finds in it, stored in the archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export_model.network import F32, Shape
from quadrat.geometry import HW, Geometry
from quadrat.tasks.detect.selftest import (
    MOST,
    PIXELS,
    SCORES,
    CanonicalObjects,
    Difference,
    Reading,
    compare,
    reader,
)
from quadrat.transforms import build
from quadrat.types import ImageU8, TransformSpec

__all__ = ["MOST", "PIXELS", "SCORES", "CanonicalObjects", "Difference", "Reading", "compare", "reader"]

VALUES = ("Normalize", "ToBGR")
"""Transforms that change the values of pixels, not the size of the picture."""
OPEN: HW = (96, 128)
"""(height, width) of the test picture if neither network nor transforms fix it; multiples of 32."""
TRIES = 8
KEPT = 2 * MOST
"""Number of objects that the self-test keeps, so that a tie at the fiftieth place does not matter."""


def tensor(picture: ImageU8, transforms: tuple[Mapping[str, Any], ...]) -> F32:
    """Apply transforms in the form of deploy.yaml to a picture (h, w, 3) and return (1, 3, H, W) float32."""
    specs = [TransformSpec(str(t["type"]), {k: v for k, v in t.items() if k != "type"}) for t in transforms]
    made, _ = build(specs)(picture, Geometry.identity((picture.shape[0], picture.shape[1])))
    return np.ascontiguousarray(made[None], np.float32)


def sides(shape: Shape, transforms: tuple[Mapping[str, Any], ...]) -> HW:
    """Return the (height, width) of the network's inputs, or OPEN if it depends on the picture."""
    if any(transform.get("type") not in VALUES for transform in transforms):
        first, second = (
            tensor(np.zeros((*hw, 3), np.uint8), transforms).shape[2:] for hw in ((60, 80), (80, 60))
        )
        if first == second:
            return (first[0], first[1])
    height, width = (side or default for side, default in zip(shape[2:], OPEN, strict=True))
    return (int(height), int(width))


def choose(
    run: Callable[[F32], CanonicalObjects],
    hw: HW,
    transforms: tuple[Mapping[str, Any], ...],
    pictures: Sequence[ImageU8] = (),
) -> tuple[NDArray[np.float16], CanonicalObjects]:
    """Choose the drawing or picture whose objects have the best scores.

    Returns it as (1, 3, h, w) float16, and its objects.
    """
    tried = []
    for picture in (*(drawing(seed, hw) for seed in range(TRIES)), *pictures):
        image = tensor(picture, transforms).astype(np.float16)
        found = run(image.astype(np.float32)).best(KEPT)
        tried.append((float(found.scores[:10].sum()), image, found))
    _, image, found = max(tried, key=lambda one: one[0])
    return image, found


def drawing(seed: int, hw: HW) -> ImageU8:
    """Draw flat rectangles of strong colours on grey, (h, w, 3) uint8, which many detectors respond to."""
    rng = np.random.default_rng(seed)
    picture = np.full((*hw, 3), int(rng.integers(90, 200)), np.uint8)
    for _ in range(6):
        height, width = (int(rng.integers(side // 8, side // 3 + 2)) for side in hw)
        top, left = int(rng.integers(0, hw[0] - height + 1)), int(rng.integers(0, hw[1] - width + 1))
        color = rng.permutation(
            [int(rng.integers(30, 70)), int(rng.integers(40, 90)), int(rng.integers(190, 240))]
        )
        picture[top : top + height, left : left + width] = color
    return picture
