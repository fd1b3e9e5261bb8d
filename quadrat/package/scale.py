"""Read the scale at which a network was trained, so that an order can compare it with the scale of its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quadrat.errors import ManifestError
from quadrat.package.classes import is_int
from quadrat.types import ModelPackage

KEY = "trained-size"
"""The key of meta.json: the long side, in pixels, of the images that the network was trained on."""


def trained_size(package: ModelPackage) -> int | None:
    """Return the long side, in pixels, at which the network saw whole images in training; None if nothing tells it.

    It is what meta.json states, or else the size to which the transforms of deploy.yaml resize every image, or else
    the fixed size of the network's input. Raises ManifestError if meta.json states no size.
    """
    stated = package.meta.get(KEY)
    if stated is not None:
        if not is_int(stated) or not 1 <= stated <= 1_000_000:
            raise ManifestError("it is not a number of pixels", where=f"meta.json: {KEY}")
        return int(stated)
    for transform in package.transforms:
        side = _side(transform.type, transform.params)
        if side:
            return side
    height, width = package.input_shape[2:]
    return max(height, width) if height and width else None


def _side(kind: str, params: Any) -> int | None:
    """Return the long side that a transform gives every image, or None."""
    key = {"Resize": "target_size", "Letterbox": "size", "ResizeByLong": "long_size"}.get(kind)
    value = params.get(key) if key else None
    sides: Sequence[Any] = value if isinstance(value, list) else [value]
    return int(max(sides)) if sides and all(is_int(side) and side > 0 for side in sides) else None
