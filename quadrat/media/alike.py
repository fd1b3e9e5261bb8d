"""Encode an enhanced picture as its source was stored: without loss if the format allows it, else at high quality.

JPEG is written at quality 95 without chroma subsampling; PNG, WebP and TIFF without loss. Formats that cannot be written
here (HEIC, JPEG XL, BMP with EXIF) become PNG, and so do sizes that a format does not allow, and mosaics.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quadrat.geometry import HW
from quadrat.media.encode import PNG_OPTIONS, write_png
from quadrat.media.images import MAX_SOURCE_PIXELS
from quadrat.media.original import GEO_TAGS, PLACE, deflated, exif_for, tags_for
from quadrat.media.scratch import large
from quadrat.types import ImageU8, Original

JPEG_QUALITY = 95
_LONGEST = {"JPEG": 65_500, "WEBP": 16_383}
"""The longest side that a format allows, in pixels."""
_MOST_EXIF = 65_000
"""The most bytes of EXIF in a JPEG; more does not fit into one segment."""

FORMATS = {
    "JPEG": (".jpg", "image/jpeg"),
    "PNG": (".png", "image/png"),
    "WEBP": (".webp", "image/webp"),
    "TIFF": (".tif", "image/tiff"),
}
"""The formats that are written, each with its suffix and MIME type."""


@dataclass(frozen=True, slots=True)
class Alike:
    """How to write a picture: its `suffix` and `mime` type, the function that writes it, and `lost`, what it lacks.

    `write` takes a path, or for a picture that is not `on_disk` an open file.
    """

    suffix: str
    mime: str
    write: Callable[[Any], None]
    on_disk: bool = False
    lost: tuple[str, ...] = ()

    def body(self) -> bytes:
        """Return the file of a picture that is not `on_disk`."""
        stream = io.BytesIO()
        self.write(stream)
        return stream.getvalue()


def alike(pixels: ImageU8, original: Original | None, source_hw: HW) -> Alike:
    """Return how to write an upright picture (h, w, 3) uint8 RGB; `original` is what its source had, if it was a file.

    EXIF and an RGB profile are kept, alpha where it is not opaque everywhere; EXIF says that the picture is upright.
    """
    original = original or Original("PNG")
    hw: HW = (pixels.shape[0], pixels.shape[1])
    kind = original.kind if original.kind in FORMATS else "PNG"
    if max(hw) > _LONGEST.get(kind, max(hw)) or (kind == "JPEG" and original.alpha is not None):
        kind = "PNG"
    exif = exif_for(original.exif, hw)
    lost = [*original.lost, *([f"{original.bits - 8} of {original.bits} bits"] if original.bits > 8 else [])]
    if kind == "JPEG" and len(exif) > _MOST_EXIF:
        exif, lost = b"", [*lost, "EXIF"]
    if original.tags and (kind != "TIFF" or hw[0] * hw[1] > MAX_SOURCE_PIXELS):
        lost.append("tags")
    elif hw != source_hw and set(original.tags) & set(GEO_TAGS):
        lost.append(PLACE)
    if hw[0] * hw[1] > MAX_SOURCE_PIXELS:
        lost += ["alpha"] * (original.alpha is not None)
        mosaic = partial(write_png, plane=pixels, chunks=_chunks(exif, original.profile))
        return Alike(*FORMATS["PNG"], mosaic, on_disk=True, lost=tuple(lost))
    every: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": JPEG_QUALITY, "subsampling": 0, "exif": exif},
        "PNG": {**PNG_OPTIONS, "exif": exif},
        "WEBP": {"lossless": True, "quality": 25, "method": 2, "exact": True, "exif": exif},
        "TIFF": {"tiffinfo": tags_for(original, hw, source_hw)},
    }
    options = every[kind] | {"icc_profile": original.profile}
    kept = {name: value for name, value in options.items() if value != b""}

    def write(target: Any) -> None:
        _image(pixels, original.alpha).save(target, kind, **kept)

    return Alike(*FORMATS[kind], write, large(hw), tuple(lost))


def _image(pixels: ImageU8, alpha: NDArray[np.uint8] | None) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if alpha is not None:
        size = pixels.shape[1], pixels.shape[0]
        if alpha.shape != pixels.shape[:2]:
            how = cv2.INTER_AREA if alpha.size > pixels.shape[0] * pixels.shape[1] else cv2.INTER_LINEAR
            alpha = np.asarray(cv2.resize(alpha, size, interpolation=how), np.uint8)
        image.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
    return image


def _chunks(exif: bytes, profile: bytes) -> dict[bytes, bytes]:
    """Return the chunks of a PNG that hold metadata."""
    chunks = {b"iCCP": deflated(profile) if profile else b"", b"eXIf": exif.removeprefix(b"Exif\0\0")}
    return {name: body for name, body in chunks.items() if body}
