"""Show the labels of a picture below it or in its corner: what it is called, and bars of the most probable classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from quadrat.geometry import HW
from quadrat.media.scale import scaled
from quadrat.media.size import working_hw
from quadrat.parameters import PictureSettings
from quadrat.predictions import Classification, Label
from quadrat.render.legend import LEAST_FRAME, PAPER, percent
from quadrat.render.text import draw_text, readable, shortened
from quadrat.tasks.classify.rule import nothing_of
from quadrat.types import ClassInfo, Frame, ImageU8

PICTURE_PIXELS = 16_000_000
"""The most pixels of a labelled picture; that of a mosaic is smaller than the mosaic."""
MOST_BARS = 5
"""The most classes that a picture shows."""
_BLACK, _PALE, _BLUE, _GREY = (0, 0, 0), (238, 238, 238), (86, 180, 233), (196, 196, 196)


def draw_labels(pixels: ImageU8, found: Classification) -> ImageU8:
    """Return a picture (H, W, 3) uint8 RGB with a white strip below it that shows its labels and best classes.

    The strip hides no part of the picture. A picture of more than PICTURE_PIXELS is made smaller.
    """
    drawn = scaled(pixels, working_hw((pixels.shape[0], pixels.shape[1]), PICTURE_PIXELS))
    size = max(12, min(40, drawn.shape[1] // 40))
    return np.concatenate([drawn, _strip(found, drawn.shape[1], size, MOST_BARS)])


def annotate(
    frame: Frame, found: Classification, _classes: Sequence[ClassInfo], _style: PictureSettings
) -> ImageU8:
    """Show the labels of a frame of a video in its lower left corner; the result has the frame's size.

    A frame smaller than LEAST_FRAME is returned as it is, because the labels would hide it.
    """
    hw: HW = (frame.pixels.shape[0], frame.pixels.shape[1])
    if hw[0] < LEAST_FRAME[0] or hw[1] < LEAST_FRAME[1]:
        return frame.pixels
    size = max(10, min(28, min(hw) // 30))
    bars = max(1, min(MOST_BARS, hw[0] // 2 // (2 * size) - 1))
    paper = _strip(found, min(hw[1], 20 * size), size, bars)[: hw[0]]
    drawn = np.array(frame.pixels, order="C")
    block = drawn[hw[0] - len(paper) :, : paper.shape[1]]
    block[:] = np.rint(PAPER * paper.astype(np.float32) + (1 - PAPER) * block).astype(np.uint8)
    return drawn


def title_of(found: Classification) -> str:
    """Return the labels as one line, or what the classifier says without one."""
    return ", ".join(_name(label) for label in found.labels) or nothing_of(found.multi_label)


def _strip(found: Classification, width: int, size: int, most: int) -> ImageU8:
    """Draw the labels, and a bar for each of the `most` best classes, on white (h, width, 3)."""
    shown, step = found.top[:most], 2 * size
    strip = Image.new("RGB", (width, size // 2 + step * (1 + len(shown))), "white")
    draw_text(
        strip,
        (size // 2, step // 2 + size // 4),
        shortened(title_of(found), size, width - size),
        size,
        _BLACK,
    )
    middle = width // 2
    chosen = {label.index for label in found.labels}
    for line, label in enumerate(shown, 1):
        top = size // 4 + line * step
        text = shortened(readable(label.name, label.index), size, middle - size)
        draw_text(strip, (size // 2, top + step // 2), text, size, _BLACK)
        _bar(
            strip,
            label,
            (middle, top + size // 4, width - size // 2, top + step - size // 4),
            strong=label.index in chosen,
        )
        draw_text(strip, (middle + size // 4, top + step // 2), percent(label.probability), size, _BLACK)
    return np.array(strip)


def _bar(strip: Image.Image, label: Label, box: tuple[int, int, int, int], *, strong: bool) -> None:
    """Draw a bar as long as a probability: blue if it is that of a label, else grey, both light enough for text."""
    x0, y0, x1, y1 = box
    if x1 - x0 < 2:
        return
    draw, share = ImageDraw.Draw(strip), min(1.0, max(0.0, label.probability))
    draw.rectangle((x0, y0, x1, y1), fill=_PALE)
    if share > 0:
        draw.rectangle((x0, y0, x0 + round(share * (x1 - x0)), y1), fill=_BLUE if strong else _GREY)


def _name(label: Label) -> str:
    level = f" ({label.level})" if label.level else ""
    return f"{readable(label.name, label.index)}{level} {percent(label.probability)}"
