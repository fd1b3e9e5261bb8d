"""Draw pictures side by side with labels, one row for each source: before and after, or several variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from quadrat.geometry import HW
from quadrat.render.text import draw_text, readable, shortened
from quadrat.types import ImageU8

SIDE = 480
"""The longest side of a picture in a sheet, in pixels."""
GAP = 12
TEXT = 18
"""The size of labels, in pixels."""
INK, PAPER = (30, 30, 30), (255, 255, 255)


@dataclass(frozen=True, slots=True, eq=False)
class SheetRow:
    """One row of a sheet: its `title`, and a picture (h, w, 3) uint8 RGB for each column, None for a missing one."""

    title: str
    pictures: Sequence[ImageU8 | None]


def thumbnail(pixels: ImageU8) -> ImageU8:
    """Shrink a picture to at most SIDE pixels on its longer side; a smaller one stays as it is."""
    height, width = pixels.shape[:2]
    share = SIDE / max(height, width)
    if share >= 1:
        return np.ascontiguousarray(pixels)
    hw: HW = (max(1, round(height * share)), max(1, round(width * share)))
    small: ImageU8 = cv2.resize(np.ascontiguousarray(pixels), (hw[1], hw[0]), interpolation=cv2.INTER_AREA)
    return small


def draw_sheet(columns: Sequence[str], rows: Sequence[SheetRow]) -> ImageU8:
    """Draw a sheet (H, W, 3) uint8 RGB: the names of the columns, and each row with its title above its pictures."""
    heights = [max(picture.shape[0] for picture in row.pictures if picture is not None) for row in rows]
    line = TEXT + GAP
    width = GAP + len(columns) * (SIDE + GAP)
    height = GAP + line + sum(line + each + GAP for each in heights)
    sheet = Image.new("RGB", (width, height), PAPER)
    for number, name in enumerate(columns):
        left = GAP + number * (SIDE + GAP)
        draw_text(sheet, (left, GAP + TEXT // 2), shortened(readable(name, number), TEXT, SIDE), TEXT, INK)
    top = GAP + line
    for row, tallest in zip(rows, heights, strict=True):
        title = shortened(readable(row.title, 0), TEXT, width - 2 * GAP)
        draw_text(sheet, (GAP, top + TEXT // 2), title, TEXT, INK)
        for number, picture in enumerate(row.pictures):
            if picture is not None:
                sheet.paste(Image.fromarray(picture), (GAP + number * (SIDE + GAP), top + line))
        top += line + tallest + GAP
    return np.asarray(sheet)
