"""Draw the values of classes in several variants as horizontal bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from quadrat.render.text import draw_text, readable, shortened
from quadrat.types import ImageU8

WIDTH, MARGIN, TEXT, BAR, GAP = 1100, 24, 18, 20, 14
LABELS = 300
"""Width in pixels of the names of classes."""
NUMBERS = 190
"""Width in pixels of the numbers beside the bars."""
INK, LINE, PAPER = (30, 30, 30), (200, 200, 200), (255, 255, 255)
COLORS = (
    (90, 90, 90), (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233), (150, 130, 0),
)  # fmt: skip
"""Colours that people with colour blindness can tell apart (Okabe and Ito); the first is that of "none"."""


@dataclass(frozen=True, slots=True)
class ComparedClass:
    """One class: its `name` and its value in each variant; with `percent` the values are shares from 0 to 1."""

    name: str
    values: Sequence[float]
    percent: bool


def draw_comparison(
    variants: Sequence[str], charts: Sequence[tuple[str, Sequence[ComparedClass]]]
) -> ImageU8:
    """Draw a picture (H, W, 3) uint8 RGB: a legend of the variants, then for each chart its title and its classes.

    In each chart the longest bar is that of the largest value. Beside a bar stand its value and, for all variants but
    the first, the difference from the first.
    """
    each = len(variants) * BAR + GAP
    height = MARGIN * 2 + TEXT + GAP + sum(TEXT + GAP * 2 + len(classes) * each for _, classes in charts)
    image = Image.new("RGB", (WIDTH, height), PAPER)
    top = MARGIN
    _legend(image, variants, top)
    top += TEXT + GAP
    for title, classes in charts:
        top += GAP
        draw_text(
            image,
            (MARGIN, top + TEXT // 2),
            shortened(readable(title, 0), TEXT, WIDTH - 2 * MARGIN),
            TEXT,
            INK,
        )
        top += TEXT + GAP
        most = max((value for one in classes for value in one.values), default=0.0) or 1.0
        for place, one in enumerate(classes):
            _bars(image, one, most, top, place)
            top += each
    return np.asarray(image)


def _legend(image: Image.Image, variants: Sequence[str], top: int) -> None:
    draw, step = ImageDraw.Draw(image), (WIDTH - 2 * MARGIN) // len(variants)
    for place, variant in enumerate(variants):
        left = MARGIN + place * step
        draw.rectangle((left, top, left + TEXT, top + TEXT), COLORS[place % len(COLORS)])
        text = shortened(variant, TEXT, step - TEXT - GAP)
        draw_text(image, (left + TEXT + GAP // 2, top + TEXT // 2), text, TEXT, INK)


def _bars(image: Image.Image, one: ComparedClass, most: float, top: int, place: int) -> None:
    draw, left = ImageDraw.Draw(image), MARGIN + LABELS
    longest = WIDTH - MARGIN - NUMBERS - left
    name = shortened(readable(one.name, place), TEXT, LABELS - GAP)
    draw_text(image, (MARGIN, top + len(one.values) * BAR // 2), name, TEXT, INK)
    draw.line((left, top, left, top + len(one.values) * BAR), LINE)
    for number, value in enumerate(one.values):
        above = top + number * BAR
        right = left + round(longest * value / most)
        draw.rectangle((left, above + 2, max(left, right), above + BAR - 3), COLORS[number % len(COLORS)])
        difference = "" if not number else f"  ({_written(value - one.values[0], one.percent, sign=True)})"
        text = f"{_written(value, one.percent)}{difference}"
        draw_text(image, (right + GAP // 2, above + BAR // 2), text, TEXT - 4, INK)


def _written(value: float, percent: bool, *, sign: bool = False) -> str:
    text = f"{value * 100:{'+' if sign else ''}.2f}" if percent else f"{value:{'+' if sign else ''}.2f}"
    return f"{text} %" if percent and not sign else text
