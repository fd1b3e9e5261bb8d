"""An engine without a library, for tests and dry runs: brighter pixels get higher classes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.engines.common import need_outputs
from quadrat.errors import EngineRunError
from quadrat.parameters import EngineSettings
from quadrat.protocols import Engine
from quadrat.types import ModelPackage, OutputSpec


def start(package: ModelPackage, settings: EngineSettings, log: logging.Logger) -> Engine:
    """Start the engine; this cannot fail, and reads no file of the archive."""
    log.debug("the fake engine is for tests and dry runs only; its results are meaningless")
    classes = package.num_classes or len(package.classes) or 2
    return FakeEngine(classes, dict(package.outputs) or {"labels": "labels"}, settings)


class FakeEngine:
    """An engine that scores class k of K by minus the distance of a pixel's brightness from (k + 0.5) / K.

    Brightness is the logistic function of the mean over channels, in 0..1. Outputs have the archive's names for
    these roles: labels (N, H, W) int64, confidence (N, H, W) float32, logits (N, K, H, W) float32.
    """

    name = "fake"
    version = "1"
    at_once = 1

    def __init__(self, classes: int, roles: dict[str, str], settings: EngineSettings) -> None:
        shapes: dict[str, tuple[str, tuple[int | None, ...]]] = {
            "labels": ("int64", (None, None, None)),
            "confidence": ("float32", (None, None, None)),
            "logits": ("float32", (None, classes, None, None)),
        }
        self.device, self.precision = settings.device, settings.precision
        self.outputs: Sequence[OutputSpec] = tuple(
            OutputSpec(roles[role], *shapes[role]) for role in shapes if role in roles
        )
        self._roles = {tensor: role for role, tensor in roles.items()}
        self._centres = ((np.arange(classes) + 0.5) / classes).astype(np.float32)
        self._closed = False

    def run(self, batch: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Run (N, C, H, W) float32. Raises EngineRunError for an unknown output or after close."""
        need_outputs(outputs, [spec.name for spec in self.outputs], self.name)
        if self._closed:
            raise EngineRunError("the engine is closed", where=self.name)
        brightness = 1 / (1 + np.exp(-batch.mean(axis=1, dtype=np.float32)))
        logits = -np.abs(brightness[:, None] - self._centres[:, None, None])
        return {name: _output(self._roles[name], logits) for name in outputs}

    def close(self) -> None:
        """Close the engine; a second call does nothing."""
        self._closed = True


def _output(role: str, logits: NDArray[np.float32]) -> NDArray[Any]:
    if role == "labels":
        return np.asarray(logits.argmax(axis=1), dtype=np.int64)
    if role == "logits":
        return logits
    shares = np.exp(logits)
    return np.asarray(shares.max(axis=1) / shares.sum(axis=1), dtype=np.float32)
