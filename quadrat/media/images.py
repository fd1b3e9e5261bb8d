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
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

# Importing a plug-in registers its format in Image.OPEN.
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from quadrat.errors import ImageFormatError, ImageSizeError, ImageTruncatedError
from quadrat.geometry import HW
from quadrat.media.exif import kept_tags, orientation, upright
from quadrat.media.kinds import READ, looks_like
from quadrat.media.size import working_hw
from quadrat.types import Frame, FrameKey, ImageU8

MAX_SOURCE_PIXELS = 178_000_000
"""A picture of more pixels is refused before any is decoded; 178 MP of RGB take half a gigabyte."""

_OPEN: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
_STRIP_PIXELS = 1 << 18
_SIZE_AT = {"PNG": (16, ">II"), "BMP": (18, "<ii")}
_THUMBNAIL, _DNG_VERSION = 254, 50706
_UNSUPPORTED = ("unknown", "unsupported", "cannot handle", "not supported")

# Pillow warns of odd headers and EXIF; Python's filters are the process's, hence one at a time.
_header_lock = threading.Lock()


def decode(body: bytes, key: FrameKey, max_pixels: int) -> Frame:
    """Decode one picture file to a frame at working size; `max_pixels` negative leaves it as it is.

    Raises ImageFormatError for what is no picture we read, ImageSizeError for one without pixels or
    with more than MAX_SOURCE_PIXELS, ImageTruncatedError for one that ends early or is damaged.
    """
    kind = _known_kind(body)
    with io.BytesIO(body) as stream, _opened(stream, kind) as image:
        _check(image, kind)
        pixels = _jpeg_pixels(body, image) if kind == "JPEG" else _pillow_pixels(image, kind)
        turn, tags = _exif(image)
    stored_hw = pixels.shape[:2]
    source_hw: HW = stored_hw[::-1] if turn >= 5 else stored_hw
    target = working_hw(source_hw, max_pixels)
    if target != source_hw:
        stored = target[::-1] if turn >= 5 else target
        pixels = cv2.resize(pixels, (stored[1], stored[0]), interpolation=cv2.INTER_AREA)
    digest = hashlib.sha256(body).hexdigest()
    return Frame(key, source_hw, upright(pixels, turn), digest=digest, exif=tags)


def _known_kind(body: bytes) -> str:
    if not body:
        raise ImageTruncatedError("the file is empty", hint="Copy it again from the camera")
    kind = looks_like(body)
    if kind not in READ:
        raise ImageFormatError(
            f"this is {kind}, not a picture we read", hint="Use JPEG, PNG, TIFF, WEBP or BMP"
        )
    if kind in _SIZE_AT and len(body) >= 26:
        offset, form = _SIZE_AT[kind]
        if 0 in struct.unpack_from(form, body, offset):
            raise ImageSizeError("the picture has no pixels")
    return kind


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings to ourselves; what matters in them is checked."""
    with _header_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _opened(stream: io.BytesIO, kind: str) -> ImageFile.ImageFile:
    """Read the header; the class itself, as Image.open would warn of sizes that we accept."""
    try:
        with _quiet():
            return _OPEN[kind](stream)
    except MemoryError:
        raise
    except Exception as error:  # a header from a stranger can raise anything in Pillow
        reason = str(error).lower()
        if any(word in reason for word in _UNSUPPORTED):
            raise ImageFormatError(
                f"a {kind} of a kind we do not read ({error})", hint="Save it as 8-bit RGB"
            ) from error
        raise _damaged(kind, error) from error


def _damaged(kind: str, error: Exception) -> ImageTruncatedError:
    return ImageTruncatedError(
        f"the {kind} file ends early or is damaged ({str(error) or type(error).__name__})",
        hint="Copy it again from the camera, or save it anew",
    )


def _check(image: ImageFile.ImageFile, kind: str) -> None:
    """Refuse what must not be decoded: too many pixels, several pictures, a preview, other numbers."""
    width, height = image.size
    if width * height > MAX_SOURCE_PIXELS:
        raise ImageSizeError(
            f"{width} x {height} pixels are more than the {MAX_SOURCE_PIXELS // 10**6} million we accept",
            hint="Cut it into tiles or shrink it",
        )
    if kind != "JPEG" and _frames(image) > 1:
        raise ImageFormatError(f"a {kind} of several pictures", hint="Save each picture as a file of its own")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        if _DNG_VERSION in tags or tags.get(_THUMBNAIL) == 1:
            raise ImageFormatError("a camera's raw file", hint="Develop it to JPEG or TIFF first")
    if image.mode in ("I", "F", "LAB", "HSV", "I;16S"):
        raise ImageFormatError(
            f"pixels of type {image.mode} have no agreed brightness",
            hint="Save it as 8-bit or 16-bit RGB or grey",
        )


def _frames(image: ImageFile.ImageFile) -> int:
    with _quiet():
        try:
            return int(getattr(image, "n_frames", 1))
        except Exception as error:  # counting a TIFF's pages walks through them
            raise _damaged(image.format or "", error) from error


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
        raise _damaged("JPEG", error) from error
    return pixels


def _pillow_pixels(image: ImageFile.ImageFile, kind: str) -> ImageU8:
    try:
        if kind == "TIFF":
            with _quiet():  # reads EXIF as well
                image.load()
        else:
            image.load()
    except MemoryError:
        raise
    except Exception as error:  # damaged data can raise anything in Pillow
        raise _damaged(kind, error) from error
    return _rgb(image)


def _rgb(image: Image.Image) -> ImageU8:
    """Give a loaded image as (H, W, 3) uint8, strip by strip: whole, Pillow would hold two more copies."""
    image.info.pop("transparency", None)  # else converting a palette warns that it is dropped
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        end = min(top + rows, height)
        pixels[top:end] = _strip(image.crop((0, top, width, end)))
    return pixels


def _strip(image: Image.Image) -> NDArray[Any]:
    """Give RGB, or grey with an axis for RGB; alpha dropped, 16 bits cut to the high byte."""
    if image.mode.startswith("I;16"):
        return (np.asarray(image) >> 8)[..., None]
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _exif(image: ImageFile.ImageFile) -> tuple[int, dict[str, str]]:
    """Give the orientation and the tags kept; broken EXIF is as none, it is no part of the picture."""
    try:
        with _quiet():
            tags = image.getexif()
            return orientation(tags), kept_tags(tags)
    except Exception:  # noqa: BLE001 - EXIF from a stranger can raise anything in Pillow
        return 1, {}
