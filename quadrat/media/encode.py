"""Arrays to the bytes of picture files; the same array gives the same bytes."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from quadrat.types import ImageU8

_PNG_LEVEL = 1


def palette_png(labels: NDArray[np.uint8], palette: Sequence[tuple[int, int, int]]) -> bytes:
    """Write labels (H, W) uint8 as an 8-bit palette PNG whose index is the label.

    `palette` gives (r, g, b) from label 0 on; labels beyond it are black. At most 256 entries.
    """
    if len(palette) > 256:
        raise ValueError(f"a palette of {len(palette)} colours; a PNG holds 256")
    image = Image.fromarray(np.ascontiguousarray(labels))
    image.putpalette(bytes(value for color in palette for value in color).ljust(768, b"\0"))
    return _png(image)


def gray_png(values: NDArray[np.uint8]) -> bytes:
    """Write values (H, W) uint8 as an 8-bit grey PNG."""
    return _png(Image.fromarray(np.ascontiguousarray(values)))


def jpeg(rgb: ImageU8, quality: int = 90) -> bytes:
    """Write (H, W, 3) uint8 RGB as a JPEG without chroma subsampling, which would blur thin lines and text."""
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(rgb), quality=quality, colorspace="RGB", colorsubsampling="444"
        )
    )


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=_PNG_LEVEL, compress_type=zlib.Z_RLE)
    return stream.getvalue()
