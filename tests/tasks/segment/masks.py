"""Packages, frames and networks for tests of segmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from quadrat.geometry import Geometry, Window
from quadrat.types import ClassInfo, Frame, FrameKey, ModelPackage, OutputSpec, Part

LABELS = OutputSpec("argmax_0", "int64", (None, None, None))
SCORES = OutputSpec("scores", "float32", (None, 3, None, None))
THREE = (
    OutputSpec("labels", "uint8", (None, None, None)),
    OutputSpec("confidence", "float32", (None, None, None)),
    OutputSpec("logits", "float32", (None, 3, None, None)),
)
STATED = {"labels": "labels", "confidence": "confidence", "logits": "logits"}


def package(
    classes: int | None = 3, outputs: dict[str, str] | None = None, task: str = "segment"
) -> ModelPackage:
    """Make a package with a number of classes that states these outputs."""
    infos = tuple(ClassInfo(i, f"urn:{i}", f"c{i}", (i, i, i)) for i in range(classes or 0))
    return ModelPackage(
        Path(), "tiny", "", task, {}, None, (), infos, classes, (None, 3, None, None), outputs or {}
    )


def frame(h: int = 4, w: int = 6, source: tuple[int, int] | None = None) -> Frame:
    """Make a black frame of a working size, shrunk from a source size."""
    return Frame(FrameKey("urn:x"), source or (h, w), np.zeros((h, w, 3), np.uint8))


def part(of: Frame, **arrays: Any) -> Part:
    """Make the only part of a frame whose tensor has its working size."""
    return Part(arrays, Geometry.identity(of.source_hw).resized(of.pixels.shape[:2]))


Network = Callable[[np.ndarray], dict[str, np.ndarray]]
Fit = Callable[[np.ndarray, Geometry], tuple[np.ndarray, Geometry]]


def by_colour(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Score every pixel by itself: its channels are the logits."""
    return {"scores": pixels.astype(np.float32).transpose(2, 0, 1) / 16}


def classes_only(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Give the classes alone, as an original archive does."""
    return {"argmax_0": by_colour(pixels)["scores"].argmax(0)}


def classes_and_confidence(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Give classes and their confidence, but no scores."""
    scores = by_colour(pixels)["scores"]
    return {
        "labels": scores.argmax(0).astype(np.uint8),
        "confidence": (scores.max(0) / 16).astype(np.float32),
    }


def keep(pixels: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, Geometry]:
    """Leave a tile as it is."""
    return pixels, geometry


def picture(hw: tuple[int, int], seed: int = 0, source: tuple[int, int] | None = None) -> Frame:
    """Draw a frame of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*hw, 3)).astype(np.uint8)
    return Frame(FrameKey("urn:x"), source or hw, pixels)


def parts(
    frame: Frame, windows: tuple[Window | None, ...], network: Network, fit: Fit = keep
) -> Iterator[Part]:
    """Run a network over the windows of a frame, one after the other."""
    start = Geometry.identity(frame.source_hw).resized(frame.pixels.shape[:2])
    for window in windows:
        pixels, geometry = frame.pixels, start
        if window is not None:
            pixels = pixels[window.top : window.bottom, window.left : window.right]
            geometry = start.cropped(window)
        tensor, geometry = fit(pixels, geometry)
        yield Part(network(tensor), geometry, window)
