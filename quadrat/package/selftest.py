"""The self-test of an archive: an input of its network, and what the network gives for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.types import ModelPackage


@dataclass(frozen=True, slots=True, eq=False)
class SelfTest:
    """The input (N, C, h, w) float32, the expected arrays by name, and the share that may differ."""

    image: NDArray[np.float32]
    arrays: Mapping[str, NDArray[Any]]
    tolerance: float


def read_selftest(package: ModelPackage, *members: str) -> SelfTest | None:
    """Read the self-test with these arrays; None if the archive has none, or one that cannot be read.

    The input is repeated for a network with a fixed batch.
    """
    stated: Mapping[str, Any] | None = package.self_test
    if not stated or not {"input", *members} <= set(stated):
        return None
    try:
        arrays = {key: np.load(package.root / stated[key], allow_pickle=False) for key in ("input", *members)}
        tolerance = float(stated.get("tolerance", 0.0))
    except (OSError, ValueError, TypeError):
        return None
    image = arrays.pop("input")
    if image.ndim != 4:
        return None
    return SelfTest(image.astype(np.float32).repeat(package.input_shape[0] or 1, 0), arrays, tolerance)
