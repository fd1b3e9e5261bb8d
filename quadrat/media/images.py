"""Picture files to frames: one policy for every format.

Upright after EXIF; alpha and colour profiles ignored; 16 bits cut to the high 8; grey, palette and
CMYK made RGB; shrunk to working size by area averaging of the full picture.

Pillow reads headers and EXIF, libjpeg-turbo (simplejpeg, strict) the pixels of JPEGs: it refuses a
truncated or damaged scan, which OpenCV fills with grey and Pillow only partly notices.
"""

from __future__ import annotations

import hashlib
import io
import struct
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageFile, TiffImagePlugin

from quadrat.errors import ImageFormatError, ImageSizeError, ImageTruncatedError
from quadrat.geometry import HW
from quadrat.media import mosaic as mosaics
from quadrat.media import pillow, tiff
from quadrat.media.exif import upright
from quadrat.media.kinds import READ, VIDEOS_GO_BY, looks_like
from quadrat.media.size import working_hw
from quadrat.types import Frame, FrameKey, ImageU8

MAX_SOURCE_PIXELS = 178_000_000
"""A picture of more pixels is refused before any is decoded; 178 MP of RGB take half a gigabyte."""

_STRIP_PIXELS = 1 << 18
_HEAD = 1024
_SIZE_AT = {"PNG": (16, ">II"), "BMP": (18, "<ii")}


def decode(body: bytes, key: FrameKey, max_pixels: int | None) -> Frame:
    """Decode one picture file to a frame at working size; `max_pixels` None or negative leaves it as it is.

    Raises ImageFormatError for what is no picture we read, ImageSizeError for one without pixels or
    with more than MAX_SOURCE_PIXELS, ImageTruncatedError for one that ends early or is damaged.
    """
    kind = _known_kind(body)
    with io.BytesIO(body) as stream, pillow.open_header(stream, kind) as image:
        _check(image, kind)
        pixels = _jpeg_pixels(body, image) if kind == "JPEG" else _pillow_pixels(image, kind)
        turn, tags = pillow.exif(image)
    stored_hw = pixels.shape[:2]
    source_hw: HW = stored_hw[::-1] if turn >= 5 else stored_hw
    target = working_hw(source_hw, max_pixels)
    if target != source_hw:
        stored = target[::-1] if turn >= 5 else target
        pixels = cv2.resize(pixels, (stored[1], stored[0]), interpolation=cv2.INTER_AREA)
    digest = hashlib.sha256(body).hexdigest()
    return Frame(key, source_hw, upright(pixels, turn), digest=digest, exif=tags)


def decode_file(path: Path, key: FrameKey, max_pixels: int | None, *, mosaic: bool = False) -> Frame:
    """Decode one picture file from its path, as `decode` does.

    With `mosaic` a TIFF of more than MAX_SOURCE_PIXELS is measured too: its pixels are read piece by piece
    into a file that is mapped into memory. Raises OSError where the file cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        if _known_kind(head) == "TIFF":
            stream.seek(0)
            with pillow.open_header(stream, "TIFF") as image:
                hw: HW = (image.size[1], image.size[0])
                if hw[0] * hw[1] > MAX_SOURCE_PIXELS and isinstance(image, TiffImagePlugin.TiffImageFile):
                    if not mosaic:
                        raise _too_large(hw, "TIFF")
                    return mosaics.read(image, stream, key, max_pixels)
    return decode(path.read_bytes(), key, max_pixels)


def _known_kind(body: bytes) -> str:
    if not body:
        raise ImageTruncatedError("the file is empty", hint="Copy it again from the camera")
    kind = looks_like(body)
    if kind not in READ:
        hint = VIDEOS_GO_BY if kind.startswith("a video") else "Use JPEG, PNG, TIFF, WEBP or BMP"
        raise ImageFormatError(f"this is {kind}, not a picture we read", hint=hint)
    if body.startswith(b"MM\0+"):
        raise ImageFormatError(
            "a BigTIFF with its bytes in big-endian order", hint="Save it in little-endian order"
        )
    if kind in _SIZE_AT and len(body) >= 26:
        offset, form = _SIZE_AT[kind]
        if 0 in struct.unpack_from(form, body, offset):
            raise ImageSizeError("the picture has no pixels")
    return kind


def _check(image: ImageFile.ImageFile, kind: str) -> None:
    """Refuse what must not be decoded: too many pixels, several pictures, a preview, other numbers."""
    width, height = image.size
    if width * height > MAX_SOURCE_PIXELS:
        raise _too_large((height, width), kind)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tiff.check_pages(image)
    elif kind != "JPEG" and _frames(image) > 1:
        raise ImageFormatError(f"a {kind} of several pictures", hint="Save each picture as a file of its own")
    pillow.check_mode(image)


def _too_large(hw: HW, kind: str) -> ImageSizeError:
    tiled = "Give --tile-size 1024 to measure it by tiles, or shrink it"
    return ImageSizeError(
        f"{hw[1]} x {hw[0]} pixels are more than the {MAX_SOURCE_PIXELS // 10**6} million we accept",
        hint=tiled if kind == "TIFF" else "Shrink it, or save it as a TIFF and give --tile-size 1024",
    )


def _frames(image: ImageFile.ImageFile) -> int:
    with pillow.quiet():
        try:
            return int(getattr(image, "n_frames", 1))
        except Exception as error:  # counting a TIFF's pages walks through them
            raise pillow.damaged(image.format or "", error) from error


def _jpeg_pixels(body: bytes, image: ImageFile.ImageFile) -> ImageU8:
    """Decode a JPEG strictly: every warning of libjpeg is a refusal, bytes after its end are not."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(body)
    except ValueError:
        return _pillow_pixels(image, "JPEG")  # chroma subsampling that turbo has no name for
    if (width, height) != image.size:
        raise ImageTruncatedError("the JPEG file states two different sizes")
    try:
        if image.mode == "CMYK":
            simplejpeg.decode_jpeg(body, colorspace="CMYK", min_factor=8, strict=True)
            return _pillow_pixels(image, "JPEG")
        pixels: ImageU8 = simplejpeg.decode_jpeg(body, colorspace="RGB", strict=True)
    except ValueError as error:
        raise pillow.damaged("JPEG", error) from error
    return pixels


def _pillow_pixels(image: ImageFile.ImageFile, kind: str) -> ImageU8:
    pillow.load(image, kind)
    return _rgb(image)


def _rgb(image: Image.Image) -> ImageU8:
    """Give a loaded image as (H, W, 3) uint8, strip by strip: whole, Pillow would hold two more copies."""
    image.info.pop("transparency", None)  # else converting a palette warns that it is dropped
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        end = min(top + rows, height)
        pixels[top:end] = pillow.strip(image.crop((0, top, width, end)))
    return pixels
