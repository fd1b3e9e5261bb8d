"""The pictures of one segmented image, as encoded products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from quadrat.media.encode import gray_png, jpeg, palette_png
from quadrat.render.overlay import draw_overlay
from quadrat.render.palette import palette
from quadrat.types import Cover, Frame, Segmentation


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One encoded picture and what its file is called: `<stem>.<kind><suffix>`."""

    kind: str
    suffix: str
    mime: str
    body: bytes


def draw_pictures(
    frame: Frame,
    segmentation: Segmentation,
    covers: Sequence[Cover],
    kinds: Sequence[str],
) -> Iterator[Picture]:
    """Yield the pictures asked for, pseudo first; colours are those of `covers`."""
    if "pseudo" in kinds:
        yield Picture("pseudo", ".png", "image/png", palette_png(segmentation.labels, palette(covers)))
    if "labels" in kinds:
        yield Picture("labels", ".png", "image/png", gray_png(segmentation.labels))
    if "confidence" in kinds and segmentation.confidence is not None:
        levels = np.rint(segmentation.confidence.astype(np.float32) * 255).astype(np.uint8)
        yield Picture("confidence", ".png", "image/png", gray_png(levels))
    if "overlay" in kinds:
        drawn = draw_overlay(frame.pixels, segmentation.labels, covers)
        yield Picture("overlay", ".jpg", "image/jpeg", jpeg(drawn))
