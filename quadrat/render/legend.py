"""The legend of a mask: a swatch, name and cover for each class, the largest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from quadrat.geometry import HW
from quadrat.predictions import UNKNOWN
from quadrat.render.text import draw_text, readable, shortened, text_width
from quadrat.types import Cover, ImageU8

RGB = tuple[int, int, int]
SHARE = 0.4
"""The largest height of a legend below a picture, as a share of the picture's. Classes that do not fit are counted."""
OVERLAP = "Classes may overlap"
"""Note of a model with several classes per pixel, whose covers do not sum to 100 %."""
LEAST_LINES = 4
"""Lines that a legend may have below any picture."""
IN_FRAME = 8
"""The most entries of a legend in a frame of a video."""
LEAST_FRAME: HW = (120, 160)
"""Frames smaller than this have no legend, because it would hide them."""
PAPER = 0.75
"""Weight of the white paper of a legend in a frame; the picture shines through."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a legend; `color` is None for the classes that are only counted."""

    text: str
    color: RGB | None


def entries(covers: Sequence[Cover], most: int | None = None) -> list[Entry]:
    """Return the entries of a legend: classes by cover, then how many more there are.

    Classes without a pixel are never listed, only counted, unless there is nothing else. With `most`, so are those
    beyond the `most` largest; the count then states the largest cover among them.
    """
    ranked = sorted(covers, key=lambda cover: (-cover.pixels, cover.index))
    found = [cover for cover in ranked if cover.pixels] or ranked[:1]
    listed = found if most is None else found[:most]
    rest = [cover for cover in ranked if cover not in listed]
    made = [Entry(f"{_name(cover)} {percent(cover.cover)}", cover.color) for cover in listed]
    if rest:
        made.append(_others(rest))
    return made


def _others(rest: Sequence[Cover]) -> Entry:
    """Return the entry for classes that are only counted, by cover: their sum would mean nothing if classes overlap."""
    largest = rest[0].cover
    return Entry(f"{len(rest)} more: {f'at most {percent(largest)} each' if largest else '0 %'}", None)


def percent(share: float) -> str:
    """Write a share in percent with one digit; a share that is not zero does not look like it."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %"


def draw_legend(picture_hw: HW, covers: Sequence[Cover]) -> ImageU8:
    """Draw a white strip (h, width, 3) for below a picture of `picture_hw` (height, width), wrapped to its width.

    It takes at most SHARE of the picture's height, or LEAST_LINES lines.
    """
    height, width = picture_hw
    size = max(12, min(28, width // 40))
    lines = max(LEAST_LINES, int(SHARE * height) // (2 * size))
    most: int | None = None
    while True:
        listed = entries(covers, most)
        places, end = _places(listed, size, width)
        if end <= lines or len(listed) <= 2:
            break
        fitting = sum(line < lines for line, _ in places)
        most = (
            min(fitting, len(listed) - 1) - 1 if listed[-1].color is None else min(fitting, len(listed)) - 1
        )
        most = max(1, most)
    strip = Image.new("RGB", (width, size // 2 + 2 * size * end), "white")
    for entry, (line, left) in zip(listed, places, strict=True):
        _draw(strip, entry, (left, size // 2 + 2 * size * line), size, width)
    return np.array(strip)


def draw_note(width: int) -> ImageU8:
    """Draw a white strip (h, width, 3) that says that classes overlap, for below the legend."""
    size = max(12, min(28, width // 40))
    strip = Image.new("RGB", (width, 2 * size), "white")
    draw_text(strip, (size // 2, size), shortened(OVERLAP, size, width - size), size, (0, 0, 0))
    return np.array(strip)


def paste_legend(picture: ImageU8, covers: Sequence[Cover], *, overlap: bool = False) -> ImageU8:
    """Return a copy of a frame (H, W, 3) uint8 RGB with a legend in its lower left corner.

    The largest classes, in at most half of the height, are listed in order of index, so that entries keep their
    places from frame to frame. A small frame is returned as it is. With `overlap` a last line says that classes overlap.
    """
    height, width = picture.shape[:2]
    if height < LEAST_FRAME[0] or width < LEAST_FRAME[1]:
        return picture
    size = max(10, min(28, min(height, width) // 40))
    room = max(1, min(IN_FRAME, height // 2 // (3 * size // 2) - 2))
    found = sorted((each for each in covers if each.pixels), key=lambda each: (-each.pixels, each.index))
    shown = sorted(found[:room], key=lambda each: each.index)
    listed = [Entry(f"{_name(each)} {percent(each.cover)}", each.color) for each in shown]
    if rest := found[room:]:
        listed.append(_others(rest))
    if overlap:
        listed.append(Entry(OVERLAP, None))
    most = width // 2
    wide = min(most, 3 * size + max((text_width(entry.text, size) for entry in listed), default=0))
    paper = Image.new("RGB", (wide, size // 2 + (3 * size // 2) * len(listed)), "white")
    for line, entry in enumerate(listed):
        _draw(paper, entry, (size // 2, size // 2 + line * (3 * size // 2)), size, wide)
    drawn = np.array(picture, order="C")
    top = max(0, height - paper.height)
    block = drawn[top:, :wide].astype(np.float32)
    mixed = PAPER * np.asarray(paper, np.float32)[: block.shape[0]] + (1 - PAPER) * block
    drawn[top:, :wide] = np.rint(mixed).astype(np.uint8)
    return drawn


def _places(listed: Sequence[Entry], size: int, width: int) -> tuple[list[tuple[int, int]], int]:
    """Return the (line, left) of each entry, and the number of lines."""
    gap, line, left = size // 2, 0, size // 2
    places: list[tuple[int, int]] = []
    for entry in listed:
        need = text_width(entry.text, size) + (2 * size if entry.color else 0) + gap
        if left > gap and left + need > width:
            line, left = line + 1, gap
        places.append((line, left))
        left += need + gap
    return places, line + 1


def _draw(strip: Image.Image, entry: Entry, at: tuple[int, int], size: int, width: int) -> None:
    """Draw a swatch and its text, shortened to the width."""
    left, top = at
    if entry.color is not None:
        ImageDraw.Draw(strip).rectangle(
            (left, top, left + size, top + size), fill=entry.color, outline="black"
        )
        left += size + size // 2
    text = shortened(entry.text, size, width - left)
    draw_text(strip, (left, top + size // 2), text, size, (0, 0, 0))


def _name(cover: Cover) -> str:
    return cover.name if cover.index == UNKNOWN else readable(cover.name, cover.index)
