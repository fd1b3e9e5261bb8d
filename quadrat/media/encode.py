"""Encode arrays as picture files; the same array gives the same bytes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from quadrat.types import ImageU8

_PNG_LEVEL = 1
PNG_OPTIONS: Mapping[str, int] = MappingProxyType({"compress_level": _PNG_LEVEL, "compress_type": zlib.Z_RLE})
"""Options of Pillow for a PNG: fast, and little larger than the smallest file."""
_BLOCK_PIXELS = 1 << 22
_GREY, _RGB, _PALETTE = 0, 2, 3
_UP = 2


def as_levels(confidence: NDArray[np.float16]) -> NDArray[np.uint8]:
    """Convert confidences in 0..1 to grey levels 0..255, rounded."""
    return np.rint(confidence.astype(np.float32) * 255).astype(np.uint8)


def write_png(
    path: Path,
    plane: NDArray[Any],
    palette: Sequence[tuple[int, int, int]] | None = None,
    levels: Callable[[NDArray[Any]], NDArray[np.uint8]] = np.asarray,
    chunks: Mapping[bytes, bytes] = MappingProxyType({}),
) -> None:
    """Write a plane (H, W) as an 8-bit PNG, grey or with a palette, or (H, W, 3) as RGB, a few rows at a time.

    The picture equals that of `palette_png` or `gray_png`, which need the plane in memory; `levels` converts
    rows to uint8. `chunks` are metadata, by the type of their chunk. Format: PNG 1.2, each row filtered as its
    difference from the row above (filter 2).
    """
    _check_palette(palette or ())
    (height, width), rows = plane.shape[:2], max(1, _BLOCK_PIXELS // plane.shape[1])
    kind = _RGB if plane.ndim == 3 else _GREY if palette is None else _PALETTE
    across = width * 3 if plane.ndim == 3 else width
    compressor = zlib.compressobj(_PNG_LEVEL, strategy=zlib.Z_RLE)
    above = np.zeros((1, across), np.uint8)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        _write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
        for name, body in chunks.items():
            _write_chunk(file, name, body)
        if palette is not None:
            _write_chunk(
                file, b"PLTE", bytes(value for color in palette for value in color).ljust(768, b"\0")
            )
        for top in range(0, height, rows):
            block = levels(plane[top : top + rows]).reshape(-1, across)
            filtered = np.full((len(block), across + 1), _UP, np.uint8)
            np.subtract(block, np.concatenate([above, block[:-1]]), out=filtered[:, 1:])
            above = block[-1:]
            _write_chunk(file, b"IDAT", compressor.compress(filtered.data))
        _write_chunk(file, b"IDAT", compressor.flush())
        _write_chunk(file, b"IEND", b"")


def _write_chunk(file: IO[bytes], name: bytes, body: bytes) -> None:
    if body or name != b"IDAT":
        file.write(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))


def _check_palette(palette: Sequence[tuple[int, int, int]]) -> None:
    if len(palette) > 256:
        raise ValueError(f"a palette of {len(palette)} colours, but PNG allows at most 256")


def palette_png(labels: NDArray[np.uint8], palette: Sequence[tuple[int, int, int]]) -> bytes:
    """Encode labels (H, W) uint8 as an 8-bit palette PNG, with labels as palette indices.

    `palette` holds (r, g, b) for each label, at most 256; labels beyond it are black.
    """
    _check_palette(palette)
    image = Image.fromarray(np.ascontiguousarray(labels))
    image.putpalette(bytes(value for color in palette for value in color).ljust(768, b"\0"))
    return _png(image)


def gray_png(values: NDArray[np.uint8]) -> bytes:
    """Encode values (H, W) uint8 as an 8-bit grey PNG."""
    return _png(Image.fromarray(np.ascontiguousarray(values)))


def png(rgb: ImageU8) -> bytes:
    """Encode (H, W, 3) uint8 RGB as an 8-bit PNG."""
    return _png(Image.fromarray(np.ascontiguousarray(rgb)))


def jpeg(rgb: ImageU8, quality: int = 90) -> bytes:
    """Encode (H, W, 3) uint8 RGB as a JPEG without chroma subsampling, which would blur thin lines and text."""
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(rgb), quality=quality, colorspace="RGB", colorsubsampling="444"
        )
    )


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **PNG_OPTIONS)
    return stream.getvalue()
