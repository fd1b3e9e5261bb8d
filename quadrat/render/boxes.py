"""Draw boxes with class, score and track, and notes on frames that were not measured."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from quadrat.geometry import HW
from quadrat.package.classes import class_of
from quadrat.types import ClassInfo, Detections, Frame, ImageU8

RGB = tuple[int, int, int]
NAME_LETTERS = 32
"""Longer names are truncated, so that score and track stay visible."""
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def draw_boxes(
    pixels: ImageU8, detections: Detections, classes: Sequence[ClassInfo], source_hw: HW
) -> ImageU8:
    """Return a copy of `pixels` (H, W, 3) uint8 RGB with every object drawn on it.

    Boxes are in pixels of the upright source of `source_hw` (height, width) and are scaled to the picture.
    A box has its class's colour, with a thin contrasting line on either side; its label shows the class name,
    the score, and the track number if there is one. Higher scores are drawn over lower ones. Boxes and
    labels are clipped to the picture.
    """
    drawn = np.array(pixels, order="C")
    height, width = drawn.shape[:2]
    scale = np.array([width / source_hw[1], height / source_hw[0]] * 2)
    order = np.argsort(detections.scores, kind="stable")
    boxes = _pixel_boxes(detections.boxes[order] * scale, width, height)
    named = {info.index: info for info in classes}
    infos = [class_of(named, index, "") for index in detections.classes[order].tolist()]
    line = line_width((height, width))
    for box, info in zip(boxes, infos, strict=True):
        _draw_outline(drawn, box, line, info.color)
    size = _text_size((height, width))
    scores = detections.scores[order].tolist()
    tracks = [-1] * len(order) if detections.tracks is None else detections.tracks[order].tolist()
    for box, info, score, track in zip(boxes, infos, scores, tracks, strict=True):
        texts = [_ascii_name(info), f"{score:.2f}", *([f"#{track}"] if track >= 0 else [])]
        _paste_label(drawn, box, _render_texts(texts, size, info.color))
    return drawn


def annotate(frame: Frame, detections: Detections, classes: Sequence[ClassInfo]) -> ImageU8:
    """Draw the objects of a frame of a video; the result has the frame's size."""
    return draw_boxes(frame.pixels, detections, classes, frame.source_hw)


def draw_note(pixels: ImageU8, text: str) -> ImageU8:
    """Return a copy of `pixels` (H, W, 3) uint8 RGB with `text` in its upper left corner, clipped to the picture."""
    drawn = np.array(pixels, order="C")
    block = _render_texts([text], _text_size(drawn.shape[:2]), _BLACK)[: drawn.shape[0], : drawn.shape[1]]
    drawn[: block.shape[0], : block.shape[1]] = block
    return drawn


def line_width(hw: HW) -> int:
    """Return the line width of boxes, in pixels, for a picture of `hw` (height, width)."""
    return max(1, round(min(hw) / 400))


def _text_size(hw: HW) -> int:
    return max(11, min(64, round(min(hw) / 50)))


def _pixel_boxes(boxes: NDArray[np.float64], width: int, height: int) -> list[list[int]]:
    """Round boxes outwards to whole pixels [x0, x1) x [y0, y1), inside the picture and at least one pixel large."""
    low = np.floor(boxes[:, :2] + 1e-6)
    high = np.maximum(np.ceil(boxes[:, 2:] - 1e-6), low + 1)
    size = np.array([width, height])
    low = np.clip(low, 0, size - 1)
    high = np.clip(high, low + 1, size)
    return cast(list[list[int]], np.concatenate([low, high], axis=1).astype(np.int64).tolist())


def _draw_outline(drawn: ImageU8, box: Sequence[int], line: int, color: RGB) -> None:
    """Draw a border inside the box, between two thin contrasting lines; the outer one lies outside the box."""
    halo = max(1, line // 3)
    x0, y0, x1, y1 = box
    contrast = _contrast(color)
    _draw_frame(drawn, (x0 - halo, y0 - halo, x1 + halo, y1 + halo), line + 2 * halo, contrast)
    _draw_frame(drawn, (x0, y0, x1, y1), line, color)


def _draw_frame(drawn: ImageU8, box: tuple[int, int, int, int], line: int, color: RGB) -> None:
    """Fill the outermost `line` pixels of a box, clipped to the picture."""
    height, width = drawn.shape[:2]
    x0, y0, x1, y1 = box
    left, right, top, bottom = max(x0, 0), min(x1, width), max(y0, 0), min(y1, height)
    drawn[top : max(y0 + line, 0), left:right] = color
    drawn[max(y1 - line, top) : bottom, left:right] = color
    drawn[top:bottom, left : max(x0 + line, 0)] = color
    drawn[top:bottom, max(x1 - line, left) : right] = color


def _paste_label(drawn: ImageU8, box: Sequence[int], block: ImageU8) -> None:
    """Paste a label above its box, or inside if there is no room, and entirely in the picture if it fits."""
    height, width = drawn.shape[:2]
    block = block[:height, :width]
    rows, columns = block.shape[:2]
    top = box[1] - rows if box[1] >= rows else min(box[1], height - rows)
    left = max(0, min(box[0], width - columns))
    drawn[top : top + rows, left : left + columns] = block


def _ascii_name(info: ClassInfo) -> str:
    """Return a class's name in ASCII, which the font supports, or "class N" if no letter remains."""
    letters = unicodedata.normalize("NFKD", info.name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    name = " ".join(letters.split())
    if not any(letter.isalnum() for letter in name):
        return f"class {info.index}"
    return name if len(name) <= NAME_LETTERS else f"{name[: NAME_LETTERS - 3]}..."


def _render_texts(texts: Sequence[str], size: int, color: RGB) -> ImageU8:
    """Render texts in a row on a background of `color`, (h, w, 3) uint8 RGB."""
    shares = np.concatenate([_text_mask(text, size) for text in texts], axis=1)
    return cast(ImageU8, _color_ramp(color)[shares])


@lru_cache(maxsize=1024)
def _text_mask(text: str, size: int) -> NDArray[np.uint8]:
    """Render a text as (h, w) uint8 coverage, 0 to 255; cached, because names and scores recur."""
    font = _font(size)
    margin = max(2, size // 4)
    width = round(font.getlength(text[:200])) + 2 * margin
    image = Image.new("L", (width, size + margin + 2), 0)
    ImageDraw.Draw(image).text((margin, image.height / 2), text[:200], fill=255, font=font, anchor="lm")
    return np.array(image)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


@lru_cache(maxsize=256)
def _color_ramp(color: RGB) -> ImageU8:
    """Return the 256 colours from the background `color` to its text colour, (256, 3) uint8."""
    share = np.linspace(0.0, 1.0, 256)[:, None]
    return np.rint(np.array(color) * (1 - share) + np.array(_contrast(color)) * share).astype(np.uint8)


def _contrast(color: RGB) -> RGB:
    """Return black or white, whichever has more contrast with `color` (relative luminance, WCAG 2.1)."""
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return _BLACK if luminance > 0.179 else _WHITE
