"""Tint a photograph by class and add a legend with names and percentages."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from quadrat.render.palette import lookup_table
from quadrat.types import UNKNOWN, ClassInfo, Cover, Frame, ImageU8, Segmentation

OVERLAP = "Classes may overlap: the percentages do not sum to 100."
TINT = 0.45
"""Weight of the class colour; the photograph stays recognisable under it."""


def draw_overlay(
    pixels: ImageU8, labels: NDArray[np.uint8], covers: Sequence[Cover], *, overlap: bool = False
) -> ImageU8:
    """Tint `pixels` (H, W, 3) uint8 RGB by `labels` and append a legend below the picture.

    `labels` may have another size; it is resized to the picture by nearest neighbour. Returns
    (H + legend height, W, 3) uint8 RGB: the legend covers no part of the picture. With `overlap` a pixel can have
    several classes: it has the tint of the most probable one, none if it has none, and the legend says so.
    """
    tinted = [cover for cover in covers if not overlap or cover.index != UNKNOWN]
    below = [_note(pixels.shape[1], OVERLAP)] if overlap else []
    return np.concatenate([tint(pixels, labels, tinted), _legend(pixels.shape[1], covers), *below])


def tint(
    pixels: ImageU8, labels: NDArray[np.uint8], classes: Sequence[Cover] | Sequence[ClassInfo]
) -> ImageU8:
    """Tint `pixels` (H, W, 3) uint8 RGB by `labels`, resized to the picture by nearest neighbour.

    Pixels of a label that is not among `classes` stay as they are.
    """
    height, width = pixels.shape[:2]
    if labels.shape != (height, width):
        labels = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    paint = lookup_table(classes)[labels]
    listed = np.zeros(256, bool)
    listed[[each.index for each in classes]] = True
    blank = ~listed[labels]
    paint[blank] = pixels[blank]
    tinted: ImageU8 = cv2.addWeighted(pixels, 1.0 - TINT, paint, TINT, 0.0)
    edges = _class_edges(labels)
    tinted[edges] = paint[edges]
    return tinted


def _class_edges(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return a mask (H, W) of the pixels whose right or lower neighbour has another class."""
    edges = np.zeros(labels.shape, bool)
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edges[:-1] |= labels[:-1] != labels[1:]
    return edges


def _legend(width: int, covers: Sequence[Cover]) -> ImageU8:
    """Draw a white strip (h, width, 3) with a swatch, name and percentage per class, wrapped to `width`."""
    size = max(12, min(28, width // 40))
    font = ImageFont.load_default(size)
    gap, line = size // 2, size * 2
    places: list[tuple[int, int]] = []
    x, y = gap, gap
    texts = [f"{c.name} {100 * c.cover:.1f} %" for c in covers]
    for text in texts:
        need = round(font.getlength(text)) + 2 * size + gap
        if x > gap and x + need > width:
            x, y = gap, y + line
        places.append((x, y))
        x += need + gap
    strip = Image.new("RGB", (width, y + line), "white")
    draw = ImageDraw.Draw(strip)
    for (left, top), text, cover in zip(places, texts, covers, strict=True):
        draw.rectangle((left, top, left + size, top + size), fill=cover.color, outline="black")
        draw.text((left + size + gap, top), text, fill="black", font=font)
    return np.array(strip)


def _note(width: int, text: str) -> ImageU8:
    """Draw a white strip (h, width, 3) with one line of text, in a size in which it fits."""
    size = max(12, min(28, width // 40))
    font = ImageFont.load_default(size)
    long = font.getlength(text) + size
    if long > width:
        font = ImageFont.load_default(max(6, size * width / long))
    strip = Image.new("RGB", (width, 2 * size), "white")
    ImageDraw.Draw(strip).text((size // 2, size // 2), text, fill="black", font=font)
    return np.array(strip)


def annotate(frame: Frame, segmentation: Segmentation, classes: Sequence[ClassInfo]) -> ImageU8:
    """Tint a frame of a video by its mask; the result has the frame's size."""
    return tint(frame.pixels, segmentation.labels, classes)
