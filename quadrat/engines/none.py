"""The engine of a task without a network: it states what the task computes with, and runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.errors import EngineRunError
from quadrat.types import OutputSpec


class NoNetwork:
    """Stands where an engine is expected; `name` and `version` are those of OpenCV, which results can depend on."""

    name = "opencv"
    version = cv2.__version__
    device = "cpu"
    precision = "uint8"
    outputs: Sequence[OutputSpec] = ()
    at_once = 1

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Raise EngineRunError: there is no network."""
        raise EngineRunError(
            f"there is no network for a batch of {len(batch)} and {len(outputs)} outputs",
            hint="Please report this",
        )

    def close(self) -> None:
        """Do nothing."""
