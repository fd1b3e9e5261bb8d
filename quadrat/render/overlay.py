"""Show the classes of a mask on its photograph, tinted or outlined, with a legend of names and percentages."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.parameters import PictureSettings
from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.render.legend import draw_legend, draw_note, paste_legend
from quadrat.render.palette import lookup_table
from quadrat.types import ClassInfo, Cover, Frame, ImageU8

DEFAULT = PictureSettings()
TINT = DEFAULT.overlay_opacity
"""Weight of the class colour; the photograph stays recognisable under it."""


def draw_overlay(
    pixels: ImageU8,
    labels: NDArray[np.uint8],
    covers: Sequence[Cover],
    style: PictureSettings = DEFAULT,
    *,
    overlap: bool = False,
) -> ImageU8:
    """Show the classes of `labels` on `pixels` (H, W, 3) uint8 RGB, with a legend below the picture.

    `labels` may have another size; it is resized to the picture by nearest neighbour. Returns
    (H + legend height, W, 3) uint8 RGB: the legend covers no part of the picture. If the style is "beside", the
    picture is twice as wide, with the photograph on the left. With `overlap` a pixel can have several classes: it
    shows the most probable one, none if it has none, and the legend says so.
    """
    tinted = [cover for cover in covers if not overlap or cover.index != UNKNOWN]
    drawn = tint(pixels, labels, tinted, style)
    if style.overlay_style == "beside":
        drawn = beside(pixels, drawn)
    below = [draw_note(drawn.shape[1])] if overlap else []
    return np.concatenate([drawn, draw_legend((drawn.shape[0], drawn.shape[1]), covers), *below])


def beside(pixels: ImageU8, drawn: ImageU8) -> ImageU8:
    """Put a picture on the right of the photograph that it was drawn on."""
    return np.concatenate([pixels, drawn], axis=1)


def tint(
    pixels: ImageU8,
    labels: NDArray[np.uint8],
    classes: Sequence[Cover] | Sequence[ClassInfo],
    style: PictureSettings = DEFAULT,
) -> ImageU8:
    """Tint or outline `pixels` (H, W, 3) uint8 RGB by `labels`, resized to the picture by nearest neighbour.

    Pixels of a label that is not among `classes` stay as they are.
    """
    height, width = pixels.shape[:2]
    if labels.shape != (height, width):
        labels = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    colors = lookup_table(classes)[labels]
    listed = np.zeros(256, bool)
    listed[[each.index for each in classes]] = True
    blank = ~listed[labels]
    colors[blank] = pixels[blank]
    edges = _class_edges(labels)
    if style.overlay_style == "outline":
        edges = _thick(edges, max(1, round(min(height, width) / 400)))
        outlined = pixels.copy()
        outlined[edges] = colors[edges]
        return outlined
    weight = style.overlay_opacity
    tinted: ImageU8 = cv2.addWeighted(pixels, 1.0 - weight, colors, weight, 0.0)
    tinted[edges] = colors[edges]
    return tinted


def _class_edges(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return a mask (H, W) of the pixels whose right or lower neighbour has another class."""
    edges = np.zeros(labels.shape, bool)
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edges[:-1] |= labels[:-1] != labels[1:]
    return edges


def _thick(edges: NDArray[np.bool_], line: int) -> NDArray[np.bool_]:
    """Widen edges to both sides, so that the colours of both classes are seen."""
    kernel = np.ones((2 * line + 1, 2 * line + 1), np.uint8)
    return np.asarray(cv2.dilate(edges.astype(np.uint8), kernel), bool)


def annotate(
    frame: Frame, segmentation: Segmentation, classes: Sequence[ClassInfo], style: PictureSettings = DEFAULT
) -> ImageU8:
    """Show the mask of a frame of a video on it, with a legend in its corner; the result has the frame's size."""
    drawn = tint(frame.pixels, segmentation.labels, classes, style)
    overlap = segmentation.members is not None
    return paste_legend(drawn, covers_of(segmentation, classes), overlap=overlap)


def covers_of(segmentation: Segmentation, classes: Sequence[ClassInfo]) -> list[Cover]:
    """Count the pixels of each class that the archive lists."""
    labels, members = segmentation.labels, segmentation.members
    counts = np.bincount(labels.ravel(), minlength=256)
    if members is not None:
        counts = np.count_nonzero(members, axis=(0, 1))
    pixels = {each.index: int(counts[each.index]) for each in classes}
    return [
        Cover(each.index, each.id, each.name, each.color, count, count / labels.size)
        for each, count in zip(classes, pixels.values(), strict=True)
    ]
