"""A contact sheet: small pictures with captions, row by row."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from quadrat.render.text import draw_text, readable, shortened
from quadrat.types import ImageU8

SIDE = 96
"""Longest side of a small picture in pixels."""
GAP = 8
TEXT = 11
"""Height of letters in pixels."""
LARGEST = 512
"""Sides of a small picture above which it is not read."""
_PAPER, _INK, _EMPTY = (255, 255, 255), (32, 32, 32), (224, 224, 224)


@dataclass(frozen=True, slots=True)
class Card:
    """A small picture, as a JPEG or empty, with its lines of text."""

    thumb: bytes
    lines: tuple[str, ...]


def draw_sheet(rows: Sequence[Sequence[Card]]) -> ImageU8:
    """Draw cards in rows on white, (H, W, 3) uint8 RGB; a card without a readable picture is a grey square."""
    lines = max((len(card.lines) for row in rows for card in row), default=0)
    width, height = SIDE + GAP, SIDE + GAP + lines * (TEXT + 4)
    columns = max((len(row) for row in rows), default=0)
    sheet = Image.new("RGB", (max(1, columns) * width + GAP, max(1, len(rows)) * height + GAP), _PAPER)
    for y, row in enumerate(rows):
        for x, card in enumerate(row):
            _draw(sheet, (GAP + x * width, GAP + y * height), card)
    drawn: ImageU8 = np.array(sheet)
    return drawn


def _draw(sheet: Image.Image, at: tuple[int, int], card: Card) -> None:
    """Draw a card with its upper left corner at `at`."""
    picture = _opened(card.thumb)
    left, top = (SIDE - picture.width) // 2, (SIDE - picture.height) // 2
    sheet.paste(picture, (at[0] + left, at[1] + top))
    for place, line in enumerate(card.lines):
        text = shortened(readable(line, 0) if line else "", TEXT, SIDE)
        draw_text(sheet, (at[0], at[1] + SIDE + (TEXT + 4) * place + TEXT), text, TEXT, _INK)


def _opened(thumb: bytes) -> Image.Image:
    """Read a small picture; a grey square if there is none, or if it is none that quadrat makes."""
    try:
        picture = Image.open(io.BytesIO(thumb), formats=["JPEG"])
        if max(picture.size) <= LARGEST:
            picture.thumbnail((SIDE, SIDE))
            return picture.convert("RGB")
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError):
        pass
    return Image.new("RGB", (SIDE, SIDE), _EMPTY)
