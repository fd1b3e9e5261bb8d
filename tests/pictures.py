"""Builders of good and bad picture files, for the tests of every room.

Everything is drawn here from numbers; nothing is read from disk, and two calls give the same bytes.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from quadrat.errors import ImageFormatError, ImageSizeError, ImageTruncatedError, InputError

Pixels = NDArray[np.uint8]

_TO_STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}
"""How a camera stores an upright picture that it marks with each EXIF orientation."""


def drawing(height: int = 60, width: int = 80, seed: int = 0) -> Pixels:
    """Draw (height, width, 3) uint8 RGB: soft colours, no two corners alike, fit for JPEG."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    phase = np.random.default_rng(seed).uniform(0, 6, 3)
    waves = [np.sin(x / (9 + 3 * c) + phase[c]) * np.cos(y / (11 - 2 * c)) for c in range(3)]
    plane = np.stack([120 + 60 * w for w in waves], axis=-1)
    plane += (x / max(width - 1, 1) * 40 - y / max(height - 1, 1) * 40)[..., None]
    return plane.clip(0, 255).astype(np.uint8)


def encode(pixels: NDArray[Any] | Image.Image, kind: str, **options: Any) -> bytes:
    """Write an array or a Pillow image as a file of Pillow's format `kind`."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.ascontiguousarray(pixels))
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def jpeg(pixels: Pixels | None = None, **options: Any) -> bytes:
    """Write a JPEG of quality 95 without chroma subsampling."""
    return encode(
        drawing() if pixels is None else pixels, "JPEG", **{"quality": 95, "subsampling": 0} | options
    )


def png(pixels: Pixels | None = None, **options: Any) -> bytes:
    """Write a PNG."""
    return encode(drawing() if pixels is None else pixels, "PNG", **options)


def oriented(pixels: Pixels, orientation: int, kind: str = "PNG", **options: Any) -> bytes:
    """Write a file that shows `pixels` upright, stored turned and marked with EXIF `orientation`."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(_TO_STORED[orientation](pixels), kind, exif=exif, **options)


def camera_jpeg(pixels: Pixels | None = None) -> bytes:
    """Write a JPEG with a camera's tags: time, make, model and a position off Perth."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Quadrat Instruments\x00", "Q-1"
    exif.get_ifd(0x8769)[0x9003] = "2023:07:12 09:15:30"
    exif.get_ifd(0x8825).update({1: "S", 2: (32.0, 3.0, 36.0), 3: "E", 4: (115.0, 30.0, 0.0)})
    return jpeg(pixels, exif=exif)


def broken_exif_jpeg(pixels: Pixels | None = None) -> bytes:
    """Write a good JPEG whose EXIF block is noise behind a right header."""
    return jpeg(pixels, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(64)))


def gps_jpeg(latitude: tuple[Any, ...], longitude: tuple[Any, ...], refs: str = "SE") -> bytes:
    """Write a JPEG that claims this position, sane or not."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: refs[0], 2: latitude, 3: refs[1], 4: longitude})
    return jpeg(exif=exif)


def gray16_png(pixels: Pixels) -> bytes:
    """Write (H, W) uint8 as a 16-bit grey PNG whose high byte is the pixel and whose low byte is not 0."""
    return encode((pixels.astype(np.uint16) << 8) + 77, "PNG")


def gray16_tiff(pixels: Pixels) -> bytes:
    """Write (H, W) uint8 as a 16-bit grey TIFF, high byte as the pixel."""
    return encode((pixels.astype(np.uint16) << 8) + 77, "TIFF")


def rgb16_png(pixels: Pixels) -> bytes:
    """Write (H, W, 3) uint8 as a 16-bit colour PNG whose high bytes are the pixels."""
    wide = (pixels[..., ::-1].astype(np.uint16) << 8) + 77
    return bytes(cv2.imencode(".png", wide)[1])


def palette_png(alpha: bool = False, pixels: Pixels | None = None) -> bytes:
    """Write a palette PNG of 64 colours, on request with a transparency for each."""
    image = Image.fromarray(drawing() if pixels is None else pixels).quantize(64)
    return encode(image, "PNG", **({"transparency": bytes(range(64))} if alpha else {}))


def bomb_png(width: int, height: int) -> bytes:
    """Write a PNG header that promises width x height pixels, with next to no data."""
    return _png(width, height, zlib.compress(bytes(16)))


def _png(width: int, height: int, data: bytes) -> bytes:
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", data),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def animated(kind: str) -> bytes:
    """Write two frames as an animated GIF, PNG or WEBP, or as two pages of a TIFF."""
    first, second = (Image.fromarray(drawing(seed=s)) for s in (1, 2))
    return encode(first, kind, save_all=True, append_images=[second])


def truncated(body: bytes, share: float = 0.5) -> bytes:
    """Cut a file off after this share of its bytes."""
    return body[: int(len(body) * share)]


def damaged_jpeg() -> bytes:
    """Write a JPEG that lacks half of its scan but ends as it should: many readers fill it with grey."""
    body = jpeg(drawing(200, 300))
    return body[: len(body) // 2] + b"\xff\xd9"


TEXT = b"GET /image failed: 503 Service Unavailable\n"
HTML = b"<!DOCTYPE html><html><body>503 Service Unavailable</body></html>"


def good_pictures() -> dict[str, bytes]:
    """Give files that must decode, by a name that fits each one."""
    pixels = drawing()
    image = Image.fromarray(pixels)
    return {
        "baseline.jpg": jpeg(),
        "progressive.jpg": jpeg(progressive=True),
        "subsampled.jpeg": jpeg(subsampling=2),
        "restarts.jpg": jpeg(restart_marker_blocks=3),
        "grey.jpg": encode(image.convert("L"), "JPEG"),
        "cmyk.jpg": encode(image.convert("CMYK"), "JPEG"),
        "trailing.jpg": jpeg() + b"PK\x03\x04" + bytes(500),
        "two-pictures.mpo": encode(image, "MPO", save_all=True, append_images=[image]),
        "camera.jpg": camera_jpeg(),
        "broken-exif.jpg": broken_exif_jpeg(),
        "profile.jpg": jpeg(icc_profile=b"no profile at all"),
        "colour.png": png(),
        "alpha.png": encode(image.convert("RGBA"), "PNG"),
        "grey-alpha.png": encode(image.convert("LA"), "PNG"),
        "bilevel.png": encode(image.convert("1"), "PNG"),
        "palette.png": palette_png(),
        "palette-alpha.png": palette_png(alpha=True),
        "grey16.png": gray16_png(pixels[..., 0]),
        "colour16.png": rgb16_png(pixels),
        "colour.tif": encode(image, "TIFF"),
        "packed.tiff": encode(image, "TIFF", compression="tiff_lzw"),
        "cmyk.tif": encode(image.convert("CMYK"), "TIFF"),
        "grey16.tif": gray16_tiff(pixels[..., 0]),
        "colour.webp": encode(image, "WEBP", lossless=True),
        "colour.bmp": encode(image, "BMP"),
        "1x1.png": png(drawing(1, 1)),
        "1x20000.png": png(drawing(20000, 1)),
    }


def bad_pictures() -> dict[str, tuple[bytes, type[InputError]]]:
    """Give files that must be refused, with the error that each must raise."""
    image = Image.fromarray(drawing(200, 300))
    packed = encode(image, "TIFF", compression="tiff_lzw")
    return {
        "empty.jpg": (b"", ImageTruncatedError),
        "text.jpg": (TEXT, ImageFormatError),
        "page.jpg": (HTML, ImageFormatError),
        "half.jpg": (truncated(jpeg(drawing(200, 300))), ImageTruncatedError),
        "head.jpg": (jpeg()[:100], ImageTruncatedError),
        "no-end.jpg": (jpeg()[:-1], ImageTruncatedError),
        "damaged.jpg": (damaged_jpeg(), ImageTruncatedError),
        "half-progressive.jpg": (truncated(jpeg(drawing(200, 300), progressive=True)), ImageTruncatedError),
        "half-cmyk.jpg": (truncated(encode(image.convert("CMYK"), "JPEG")), ImageTruncatedError),
        "half.png": (truncated(png(drawing(200, 300))), ImageTruncatedError),
        "flipped.png": (_flipped(png(drawing(200, 300))), ImageTruncatedError),
        "half.tif": (truncated(encode(image, "TIFF")), ImageTruncatedError),
        "half-packed.tif": (truncated(packed, 0.8), ImageTruncatedError),
        "half.webp": (truncated(encode(image, "WEBP", lossless=True)), ImageTruncatedError),
        "half.bmp": (truncated(encode(image, "BMP")), ImageTruncatedError),
        "bomb.png": (bomb_png(20_000, 20_000), ImageSizeError),
        "bigger-bomb.png": (bomb_png(100_000, 100_000), ImageSizeError),
        "no-pixels.png": (bomb_png(0, 7), ImageSizeError),
        "warn-zone.png": (bomb_png(13_000, 10_000), ImageTruncatedError),
        "moving.gif": (animated("GIF"), ImageFormatError),
        "moving.png": (animated("PNG"), ImageFormatError),
        "moving.webp": (animated("WEBP"), ImageFormatError),
        "pages.tif": (animated("TIFF"), ImageFormatError),
        "float.tif": (encode(np.ones((4, 5), np.float32), "TIFF"), ImageFormatError),
        "int32.tif": (encode(np.ones((4, 5), np.int32), "TIFF"), ImageFormatError),
        "vector.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", ImageFormatError),
        "paper.jpg": (b"%PDF-1.7\n", ImageFormatError),
        "phone.jpg": (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", ImageFormatError),
        "drawing.svg": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', ImageFormatError),
    }


def _flipped(body: bytes) -> bytes:
    """Flip one bit in the middle of the pixel data."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 0x04]) + body[middle + 1 :]
