"""Draw boxes with class, score and track, and notes on frames that were not measured."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW
from quadrat.package.classes import class_of
from quadrat.parameters import PictureSettings
from quadrat.predictions import Detections
from quadrat.render.labels import place_labels
from quadrat.render.object_masks import tint_objects
from quadrat.render.text import readable, shortened, text_mask
from quadrat.types import ClassInfo, Frame, ImageU8

RGB = tuple[int, int, int]
DEFAULT = PictureSettings()
NAME_WIDTH = 16
"""The greatest width of a name in a label, in heights of its letters; longer names are truncated."""
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def draw_boxes(
    pixels: ImageU8,
    detections: Detections,
    classes: Sequence[ClassInfo],
    source_hw: HW,
    *,
    labels: str = DEFAULT.box_labels,
    notes: Sequence[str] = (),
) -> ImageU8:
    """Return a copy of `pixels` (H, W, 3) uint8 RGB with every object drawn on it.

    Boxes are in pixels of the upright source of `source_hw` (height, width) and are scaled to the picture.
    A box has its class's colour, with a thin contrasting line on either side; its label shows the class name,
    the score, and the track number if there is one. Higher scores are drawn over lower ones. Boxes and
    labels are clipped to the picture. `labels` is "auto" (beside the objects, and fewer in crowds), "all" (one for
    every box, above it) or "none". `notes` follow the score, one text for each object; empty for none.
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
    if labels == "none":
        return drawn
    size = _text_size((height, width))
    scores = detections.scores[order].tolist()
    tracks = [-1] * len(order) if detections.tracks is None else detections.tracks[order].tolist()
    noted = [readable(notes[row], 0) if notes and notes[row] else "" for row in order.tolist()]
    blocks = []
    for info, score, track, note in zip(infos, scores, tracks, noted, strict=True):
        own = [shortened(note, size, NAME_WIDTH * size)] if note else []
        texts = [_short_name(info, size), f"{score:.2f}", *own, *([f"#{track}"] if track >= 0 else [])]
        blocks.append(_render_texts(texts, size, info.color)[:height, :width])
    if labels == "all":
        places: list[tuple[int, int] | None] = [
            _above(box, block, (height, width)) for box, block in zip(boxes, blocks, strict=True)
        ]
    else:
        sizes = [(block.shape[0], block.shape[1]) for block in blocks]
        places = place_labels(boxes, sizes, (height, width))
    for block, place in zip(blocks, places, strict=True):
        if place is not None:
            top, left = place
            drawn[top : top + block.shape[0], left : left + block.shape[1]] = block
    return drawn


def annotate(
    frame: Frame, detections: Detections, classes: Sequence[ClassInfo], style: PictureSettings = DEFAULT
) -> ImageU8:
    """Draw the objects of a frame of a video, and their masks; the result has the frame's size."""
    pixels = tint_objects(frame.pixels, detections, classes, frame.source_hw, style)
    return draw_boxes(pixels, detections, classes, frame.source_hw, labels=style.box_labels)


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


def _above(box: Sequence[int], block: ImageU8, hw: HW) -> tuple[int, int]:
    """Return (top, left) of a label above its box, or inside if there is no room, entirely in the picture if it fits."""
    rows, columns = block.shape[:2]
    top = box[1] - rows if box[1] >= rows else min(box[1], hw[0] - rows)
    return max(0, top), max(0, min(box[0], hw[1] - columns))


def _short_name(info: ClassInfo, size: int) -> str:
    """Return a class's name as it can be drawn, so short that score and track stay visible."""
    return shortened(readable(info.name, info.index), size, NAME_WIDTH * size)


def _render_texts(texts: Sequence[str], size: int, color: RGB) -> ImageU8:
    """Render texts in a row on a background of `color`, (h, w, 3) uint8 RGB."""
    shares = np.concatenate([text_mask(text, size) for text in texts], axis=1)
    return cast(ImageU8, _color_ramp(color)[shares])


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
