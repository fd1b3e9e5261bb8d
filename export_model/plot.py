"""Draw how reliable a classifier's probabilities are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from export_model.calibration import Reliability
from quadrat.render.text import SHIPPED

SIDE, MARGIN = 300, 56
"""Pixels of a panel, and of the space around it."""
INK, GRID, BAR, GAP = (40, 40, 40), (225, 225, 225), (70, 120, 180), (230, 130, 110)


def reliability(path: Path, curves: Mapping[str, Reliability]) -> None:
    """Write a PNG with one panel for each curve: the share that is right over the confidence, and the gap to it."""
    width = len(curves) * (SIDE + MARGIN) + MARGIN
    image = Image.new("RGB", (width, SIDE + 2 * MARGIN), "white")
    draw = ImageDraw.Draw(image)
    for number, (title, curve) in enumerate(curves.items()):
        _panel(draw, (MARGIN + number * (SIDE + MARGIN), MARGIN), title, curve)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, format="PNG", optimize=True)


def _panel(draw: ImageDraw.ImageDraw, corner: tuple[int, int], title: str, curve: Reliability) -> None:
    left, top = corner
    font, small = (ImageFont.truetype(str(SHIPPED), size) for size in (15, 11))

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * SIDE, top + (1 - y) * SIDE

    bins = len(curve.count)
    for step in range(11):
        draw.line([at(0, step / 10), at(1, step / 10)], fill=GRID)
    for index in np.flatnonzero(curve.count).tolist():
        low, high = (index + 0.1) / bins, (index + 0.9) / bins
        right, sure = float(curve.accuracy[index]), float(curve.confidence[index])
        draw.rectangle([at(low, right), at(high, 0)], fill=BAR)
        draw.rectangle([at(low, max(right, sure)), at(high, min(right, sure))], outline=GAP, width=2)
    draw.line([at(0, 0), at(1, 1)], fill=INK, width=1)
    draw.rectangle([at(0, 1), at(1, 0)], outline=INK)
    for step in range(0, 11, 5):
        draw.text(at(step / 10, -0.02), f"{step / 10:g}", fill=INK, font=small, anchor="ma")
        draw.text(at(-0.02, step / 10), f"{step / 10:g}", fill=INK, font=small, anchor="rm")
    draw.text(
        at(0, 1.06),
        f"{title}: ECE {curve.ece:.4f}, {int(curve.count.sum())} probabilities",
        fill=INK,
        font=font,
        anchor="ls",
    )
    draw.text(
        at(0.5, -0.09),
        "probability of the label (bar: share that is right)",
        fill=INK,
        font=small,
        anchor="ma",
    )
