"""Decode pictures larger than memory: copy a TIFF's tiles or strips one by one to a memory-mapped file.

Pixels are converted as in `images.decode`. Only one tile or strip is in memory at a time.
"""

from __future__ import annotations

import io
import os
from typing import IO, Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from quadrat.errors import ImageSizeError
from quadrat.geometry import HW
from quadrat.media import jpeg, pillow, tiff
from quadrat.media.depth import check_depth, stated_depth, stored_bits
from quadrat.media.facts import picture_facts
from quadrat.media.scratch import check_space, large, scratch
from quadrat.media.size import working_hw
from quadrat.types import Blob, Frame, FrameKey, ImageU8

MAX_MOSAIC_PIXELS = 20_000_000_000
"""Larger mosaics are refused from their header; 20,000 MP of RGB take 60 GB of disk."""

BYTES_PER_PIXEL = 6
"""Disk space per pixel during measurement: colours, class and confidence."""


def read(
    image: TiffImageFile,
    stream: IO[bytes],
    blob: Blob,
    key: FrameKey,
    max_pixels: int | str | None,
    *,
    max_piece: int = tiff.MAX_PIECE_PIXELS,
    sample_bits: int | None = None,
) -> Frame:
    """Decode the picture of an open TIFF file to a frame at working size.

    `image` is the header, and `stream` reads the content of `blob`; a tile or strip has at most `max_piece` pixels. Raises ImageSizeError for more than
    MAX_MOSAIC_PIXELS or too little disk space, and ImageFormatError and ImageTruncatedError as `images.decode` does.
    """
    turn, tags = pillow.exif(image)
    size = stream.seek(0, os.SEEK_END)
    hw: HW = (image.size[1], image.size[0])
    _check_size(hw)
    tiff.check_pages(image)
    pillow.check_mode(image)
    layout = tiff.read_layout(image, size, max_piece)
    source_hw = layout.hw[::-1] if turn >= 5 else layout.hw
    pixels = scratch((*source_hw, 3), np.uint8)
    bits = stored_bits(image, b"")
    depth = stated_depth(image, bits, sample_bits) if bits > 8 else None
    most = _fill(_stored_view(pixels, turn), layout, stream, 16 if depth is None else depth.bits)
    check_depth(depth, bits, most, grey=image.mode.startswith("I;16"))
    facts = picture_facts(pixels)
    target = working_hw(source_hw, max_pixels)
    if target != source_hw:
        pixels = _shrink(pixels, target)
    return Frame(key, source_hw, pixels, digest=blob.digest, exif=tags, facts=facts, depth=depth)


def _check_size(hw: HW) -> None:
    height, width = hw
    if height * width > MAX_MOSAIC_PIXELS:
        raise ImageSizeError(
            f"{width} x {height} pixels exceed the limit of {MAX_MOSAIC_PIXELS // 10**6} million for a mosaic",
            hint="Split it into several files",
        )
    if large(hw):
        check_space(height * width * BYTES_PER_PIXEL)


def _stored_view(pixels: ImageU8, turn: int) -> ImageU8:
    """Return a view of upright pixels in the file's orientation, for writing: the inverse of `exif.upright`."""
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels.transpose(1, 0, 2) if turn >= 5 else pixels


def _fill(stored: ImageU8, layout: tiff.TiffLayout, stream: IO[bytes], bits: int) -> int:
    """Decode all pieces, of whose 16-bit samples `bits` bits are used, and return the largest value."""
    most = 0
    for piece in layout.pieces():
        if not piece.count:
            continue
        stream.seek(piece.offset)
        body = stream.read(piece.count)
        if len(body) < piece.count:
            raise pillow.damaged("TIFF", "its pixels end early")
        window = piece.window
        pixels = _decode_piece(layout, piece, body, bits)[: window.height, : window.width]
        channels = slice(piece.plane, None if piece.plane is None else piece.plane + 1)
        stored[window.top : window.bottom, window.left : window.right, channels] = pixels
        most = max(most, int(pixels.max(initial=0)))
    return most


def _decode_piece(layout: tiff.TiffLayout, piece: tiff.Piece, body: bytes, bits: int) -> NDArray[Any]:
    """Decode one tile or strip to (h, w, 3), or (h, w, 1) if it is grey or a single channel."""
    if layout.jpeg_transform is not None:
        try:
            # libtiff fills damaged scans with grey; this decoder rejects them.
            coded = layout.jpeg_stream(body)
            jpeg.check_piece(coded, piece.packed_hw)
            pixels: ImageU8 = simplejpeg.decode_jpeg(coded, colorspace="RGB", strict=True)
        except ValueError as error:
            raise pillow.damaged("TIFF", error) from error
    else:
        with io.BytesIO(layout.as_file(piece, body)) as file, pillow.open_header(file, "TIFF") as image:
            pillow.check_mode(image)
            pillow.load(image, "TIFF")
            pixels = pillow.strip(image, bits)
    if pixels.shape[0] < piece.window.height or pixels.shape[1] < piece.window.width:
        raise pillow.damaged("TIFF", "a tile or strip is smaller than stated")
    return pixels[..., :1] if piece.plane is not None else pixels


def _shrink(pixels: ImageU8, hw: HW) -> ImageU8:
    small = scratch((*hw, 3), np.uint8)
    cv2.resize(pixels, (hw[1], hw[0]), dst=small, interpolation=cv2.INTER_AREA)
    return small
