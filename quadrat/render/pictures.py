"""Draw and encode the pictures of one segmented image."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from quadrat.geometry import HW
from quadrat.media.encode import as_levels, gray_png, jpeg, palette_png, write_png
from quadrat.media.scratch import large
from quadrat.media.size import working_hw
from quadrat.parameters import PictureSettings
from quadrat.predictions import Segmentation
from quadrat.render.overlay import DEFAULT, draw_overlay
from quadrat.render.palette import palette
from quadrat.stores.temporary import temporary_folder
from quadrat.types import Cover, Frame, ImageU8

OVERLAY_PIXELS = 16_000_000
"""Size limit of the overlay of a large picture: viewers cannot open a JPEG of a whole mosaic."""
OVERLAY_SIDE = 60_000
"""JPEG allows 65,535 pixels per side; the rest is room for the legend."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One encoded picture, whose file is named `<stem>.<kind><suffix>`; `about` names its class if it shows only one.

    `body` of a large picture is a file, which is deleted when the next picture is requested.
    """

    kind: str
    suffix: str
    mime: str
    body: bytes | Path
    about: str = ""


def draw_pictures(
    frame: Frame,
    segmentation: Segmentation,
    covers: Sequence[Cover],
    kinds: Sequence[str],
    style: PictureSettings = DEFAULT,
) -> Iterator[Picture]:
    """Yield the pictures in `kinds`, pseudo first, in the colours of `covers`; `style` is that of the overlay.

    Pictures of a mosaic are written to files row by row; its overlay is drawn on a smaller copy.
    """
    labels, confidence, colors = segmentation.labels, segmentation.confidence, palette(covers)
    if "pseudo" in kinds:
        yield from _encode_plane("pseudo", labels, colors)
    if "labels" in kinds:
        yield from _encode_plane("labels", labels)
    if "confidence" in kinds and confidence is not None:
        yield from _encode_plane("confidence", confidence, levels=as_levels)
    if segmentation.members is not None and ("pseudo" in kinds or "labels" in kinds):
        yield from _member_masks(segmentation.members, covers)
    if "overlay" in kinds:
        overlap = segmentation.members is not None
        drawn = draw_overlay(_shrink_for_overlay(frame.pixels), labels, covers, style, overlap=overlap)
        yield Picture("overlay", ".jpg", "image/jpeg", jpeg(drawn))


def _member_masks(members: NDArray[np.float16], covers: Sequence[Cover]) -> Iterator[Picture]:
    """Yield the mask of each class, 255 where the pixel belongs to it, else 0: masks of several classes may overlap."""
    for cover in covers:
        if cover.index < members.shape[2]:
            plane = members[:, :, cover.index]
            for drawn in _encode_plane(f"{_short(cover)}.mask", plane, levels=_as_mask):
                yield replace(drawn, about=cover.name)


def _short(cover: Cover) -> str:
    """Return the index of a class with its name in plain letters, as a part of a file's name."""
    plain = unicodedata.normalize("NFKD", cover.name).encode("ascii", "ignore").decode().lower()
    return "-".join([str(cover.index), *re.findall(r"[a-z0-9]+", plain)])[:40]


def _as_mask(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """Return 255 where a probability is above 0."""
    return np.where(plane > 0, np.uint8(255), np.uint8(0))


def _encode_plane(
    kind: str,
    plane: NDArray[Any],
    colors: Sequence[tuple[int, int, int]] | None = None,
    levels: Callable[[NDArray[Any]], NDArray[np.uint8]] = np.asarray,
) -> Iterator[Picture]:
    """Yield a plane as one PNG: bytes, or a file if it is large."""
    if not large((plane.shape[0], plane.shape[1])):
        shown = levels(plane)
        body = gray_png(shown) if colors is None else palette_png(shown, colors)
        yield Picture(kind, ".png", "image/png", body)
        return
    with temporary_folder("picture") as folder:
        path = folder / f"{kind}.png"
        write_png(path, plane, colors, levels)
        yield Picture(kind, ".png", "image/png", path)


def _shrink_for_overlay(pixels: ImageU8) -> ImageU8:
    """Shrink a picture that is too large for an overlay, keeping its aspect ratio."""
    whole: HW = (pixels.shape[0], pixels.shape[1])
    height, width = working_hw(whole, OVERLAY_PIXELS if large(whole) else -1)
    share = min(1.0, OVERLAY_SIDE / max(height, width))
    hw: HW = (max(1, int(height * share)), max(1, int(width * share)))
    if hw == whole:
        return pixels
    small: ImageU8 = cv2.resize(pixels, (hw[1], hw[0]), interpolation=cv2.INTER_AREA)
    return small
