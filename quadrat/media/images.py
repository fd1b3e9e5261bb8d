"""Decode picture files to frames, with the same rules for every format.

Pictures are rotated upright by EXIF; alpha and colour profiles are ignored; of 16 bits the high 8 of those
used are kept (`media.depth`); grey, palette and CMYK are converted to RGB; the full picture is shrunk to working size by area averaging.

Pillow reads headers and EXIF. libjpeg-turbo (simplejpeg, strict) decodes JPEGs: it rejects truncated or
damaged scans, which OpenCV fills with grey and Pillow detects only partly.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin

from quadrat.errors import ImageFormatError, ImageSizeError, ImageTruncatedError
from quadrat.facts import SampleDepth
from quadrat.formats import EXTRA_FORMATS, IMAGE_FORMATS, IMAGE_WORDS
from quadrat.geometry import HW
from quadrat.media import jpeg, pillow, png, tiff
from quadrat.media import mosaic as mosaics
from quadrat.media.depth import high_bytes, stored_bits
from quadrat.media.exif import upright
from quadrat.media.facts import picture_facts
from quadrat.media.kinds import CONVERSIONS, VIDEO_HINT, looks_like
from quadrat.media.original import original_of
from quadrat.media.size import working_hw
from quadrat.types import Blob, Frame, FrameKey, ImageU8, Original

MAX_SOURCE_PIXELS = 178_000_000
"""Larger pictures are refused before decoding; 178 MP of RGB take half a gigabyte."""

_BYTES_PER_PIXEL = 12
"""The most that a pixel takes in a file: four channels of 16 bits, and reduced copies in a TIFF."""
_MAX_EXTRA = 256_000_000
"""Bytes of a file beside its pixels: metadata, previews, further pictures of an MPO, a short video of a phone."""
_MAX_HEADER = 1 << 22
_STRIP_PIXELS = 1 << 18
_HEAD = 1024
_SIZE_AT = {"PNG": (16, ">II"), "BMP": (18, "<ii")}


@dataclass(frozen=True, slots=True)
class _Request:
    """The picture to decode, the key of its frame, and what is wanted."""

    blob: Blob
    key: FrameKey
    max_pixels: int | str | None
    with_facts: bool
    sample_bits: int | None
    with_original: bool


def decode(
    blob: Blob,
    key: FrameKey,
    max_pixels: int | str | None,
    *,
    mosaic: bool = False,
    with_facts: bool = True,
    sample_bits: int | None = None,
    with_original: bool = False,
) -> Frame:
    """Decode a picture to a frame at working size; None or a negative `max_pixels` leaves it as it is.

    With `mosaic` a TIFF of more than MAX_SOURCE_PIXELS is measured too: its pixels are read piece by piece into a
    file that is mapped into memory. Without `with_facts` the frame has no facts. `sample_bits` are the significant bits of
    16-bit samples; None takes them from the file, see `media.depth`. With `with_original` the frame has what its file holds
    beside the pixels. Raises ImageFormatError if the content is not a picture that can be read,
    ImageSizeError if it has no pixels or more than MAX_SOURCE_PIXELS, ImageTruncatedError if it ends early or is
    damaged, and OSError if the file cannot be read.
    """
    if isinstance(blob.content, np.ndarray):
        return _from_array(blob, blob.content, key, max_pixels)
    request = _Request(blob, key, max_pixels, with_facts, sample_bits, with_original)
    with _opened(blob.content) as stream:
        kind = _known_kind(stream.read(_HEAD))
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if kind == "TIFF":
            frame = _from_pieces(stream, size, request, mosaic=mosaic)
            if frame is not None:
                return frame
        elif size > _MAX_EXTRA:
            _check_bytes(size, _stated_pixels(stream, kind))
    return _from_bytes(kind, replace(request, blob=blob.loaded()))


def _opened(content: bytes | Path) -> IO[bytes]:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


def _stated_pixels(stream: IO[bytes], kind: str) -> int:
    """Return the pixels that a JPEG or PNG states near its beginning, else the most that a picture may have."""
    head = stream.read(_MAX_HEADER)
    if kind == "JPEG":
        height, width = jpeg.read_layout(head).hw
    elif kind == "PNG" and len(head) >= 24:
        height, width = struct.unpack_from(">II", head, 16)
    else:
        return MAX_SOURCE_PIXELS
    return min(height * width or MAX_SOURCE_PIXELS, MAX_SOURCE_PIXELS)


def _check_bytes(size: int, pixels: int) -> None:
    """Raise ImageSizeError for a file with far more bytes than its pixels need, before it is read."""
    most = pixels * _BYTES_PER_PIXEL + _MAX_EXTRA
    if size > most:
        raise ImageSizeError(
            f"the file has {size / 1e9:.2f} GB, and its pixels take {pixels * _BYTES_PER_PIXEL / 1e9:.2f} GB at most",
            hint="Save it again without what is attached to it",
        )


def _from_pieces(stream: IO[bytes], size: int, request: _Request, *, mosaic: bool) -> Frame | None:
    """Decode a TIFF piece by piece if it is large or its pieces are JPEGs, else return None.

    libtiff fills damaged JPEG data with grey, so these are decoded here, strictly.
    """
    tiff.check_tags(stream)
    stream.seek(0)
    with pillow.open_header(stream, "TIFF") as image:
        hw: HW = (image.size[1], image.size[0])
        if not isinstance(image, TiffImagePlugin.TiffImageFile):
            return None
        whole = hw[0] * hw[1] <= MAX_SOURCE_PIXELS
        if whole:
            _check_bytes(size, hw[0] * hw[1])
        elif not mosaic:
            raise _too_large(hw, "TIFF")
        if whole and not tiff.has_jpegs(image):
            return None
        frame = mosaics.read(
            image,
            stream,
            request.blob,
            request.key,
            request.max_pixels,
            max_piece=MAX_SOURCE_PIXELS if whole else tiff.MAX_PIECE_PIXELS,
            sample_bits=request.sample_bits,
        )
        return replace(frame, original=_original(image, "TIFF", None, request, turned=_is_turned(image)))


def _from_bytes(kind: str, request: _Request) -> Frame:
    body = request.blob.content
    if not isinstance(body, bytes):
        raise TypeError(f"the content is {type(body).__name__}, not bytes")
    stored = body
    if kind == "JPEG":
        jpeg.check(body)
    elif kind == "PNG":
        body = png.essential(body)
    with io.BytesIO(body) as stream, pillow.open_header(stream, kind) as image:
        _check(image, kind)
        see_through, turned = image.info.get("transparency"), _is_turned(image)
        pixels, depth = _pixels(image, kind, body, request.sample_bits)
        turn, tags = pillow.exif(image)
        if see_through is not None:
            image.info["transparency"] = see_through  # decoding drops it
        original = _original(image, kind, stored, request, turned=turned)
    stored_hw = pixels.shape[:2]
    source_hw: HW = stored_hw[::-1] if turn >= 5 else stored_hw
    target = working_hw(source_hw, request.max_pixels)
    facts = picture_facts(pixels, turn) if request.with_facts else None
    if target != source_hw:
        pixels = _shrunk(pixels, target[::-1] if turn >= 5 else target)
    pixels, digest = upright(pixels, turn), request.blob.digest
    return Frame(
        request.key, source_hw, pixels, digest=digest, exif=tags, facts=facts, depth=depth, original=original
    )


def _original(
    image: ImageFile.ImageFile, kind: str, content: bytes | None, request: _Request, *, turned: bool
) -> Original | None:
    """Return what the file of a picture holds beside its pixels, if that is wanted; `content` is None for a mosaic."""
    if not request.with_original:
        return None
    body, turn = content or b"", pillow.exif(image)[0]
    bits = stored_bits(image, body)
    return original_of(image, kind, body, turn=turn, bits=bits, whole=content is not None, turned=turned)


def _is_turned(image: ImageFile.ImageFile) -> bool:
    """Return True if a TIFF is not stored upright; ask before its pixels are read, because Pillow then turns it."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and pillow.exif(image)[0] > 1


def _from_array(blob: Blob, picture: NDArray[np.uint8], key: FrameKey, max_pixels: int | str | None) -> Frame:
    source_hw: HW = (picture.shape[0], picture.shape[1])
    if source_hw[0] * source_hw[1] > MAX_SOURCE_PIXELS:
        raise _too_large(source_hw, "array")
    pixels = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    target = working_hw(source_hw, max_pixels)
    facts = picture_facts(pixels)
    if target != source_hw:
        pixels = _shrunk(pixels, target)
    return Frame(key, source_hw, pixels, digest=blob.digest, facts=facts)


def _shrunk(pixels: ImageU8, hw: HW) -> ImageU8:
    """Shrink a picture (h, w, 3) by area averaging to `hw` (height, width)."""
    small: ImageU8 = cv2.resize(pixels, (hw[1], hw[0]), interpolation=cv2.INTER_AREA)
    return small


def _known_kind(body: bytes) -> str:
    if not body:
        raise ImageTruncatedError("the file is empty", hint="Copy it again from the camera")
    kind = looks_like(body)
    if kind in EXTRA_FORMATS:
        pillow.plugin(kind)
    elif kind not in IMAGE_FORMATS:
        hint = VIDEO_HINT if kind.startswith("a video") else f"Use {IMAGE_WORDS}"
        if kind in CONVERSIONS:
            hint += f"; convert it, for example with {CONVERSIONS[kind]}"
        raise ImageFormatError(f"this is {kind}, not a supported picture", hint=hint)
    if body.startswith(b"MM\0+"):
        raise ImageFormatError("big-endian BigTIFF is not supported", hint="Save it as little-endian")
    if kind in _SIZE_AT and len(body) >= 26:
        offset, form = _SIZE_AT[kind]
        if 0 in struct.unpack_from(form, body, offset):
            raise ImageSizeError("the picture has no pixels")
    return kind


def _check(image: ImageFile.ImageFile, kind: str) -> None:
    """Refuse pictures that must not be decoded: too large, several in a file, raw, or an unsupported pixel type."""
    width, height = image.size
    if width * height > MAX_SOURCE_PIXELS:
        raise _too_large((height, width), kind)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tiff.check_pages(image)
    elif kind not in ("JPEG", "HEIC") and _frames(image) > 1:
        raise ImageFormatError(
            f"the {kind} file contains several pictures", hint="Save each picture as a separate file"
        )
    pillow.check_mode(image)


def _too_large(hw: HW, kind: str) -> ImageSizeError:
    tiled = "Set --tile-size 1024 to measure it by tiles, or scale it down"
    return ImageSizeError(
        f"{hw[1]} x {hw[0]} pixels exceed the limit of {MAX_SOURCE_PIXELS // 10**6} million",
        hint=tiled if kind == "TIFF" else "Scale it down, or save it as a TIFF and set --tile-size 1024",
    )


def _frames(image: ImageFile.ImageFile) -> int:
    with pillow.quiet():
        try:
            return int(getattr(image, "n_frames", 1 + bool(getattr(image, "is_animated", False))))
        except Exception as error:  # damaged data can raise anything in Pillow
            raise pillow.damaged(image.format or "", error) from error


def _pixels(
    image: ImageFile.ImageFile, kind: str, body: bytes, sample_bits: int | None
) -> tuple[ImageU8, SampleDepth | None]:
    """Decode a picture to (h, w, 3) RGB, with the bits of 16-bit samples if not all are used."""
    if kind == "JPEG":
        return _jpeg_pixels(body, image), None
    if stored_bits(image, body) <= 8:
        return _pillow_pixels(image, kind), None
    pillow.load(image, kind)
    rgb = None if image.mode.startswith("I;16") else _rgb(image)
    return high_bytes(image, body, rgb, sample_bits)


def _jpeg_pixels(body: bytes, image: ImageFile.ImageFile) -> ImageU8:
    """Decode a JPEG strictly; bytes after its end are ignored."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(body)
    except ValueError:
        return _pillow_pixels(image, "JPEG")  # chroma subsampling that libjpeg-turbo does not support
    if (width, height) != image.size:
        raise ImageTruncatedError("the JPEG file contains two different sizes")
    if image.mode == "CMYK":
        _decode_strictly(body, "CMYK", min_factor=8)
        return _pillow_pixels(image, "JPEG")
    return _decode_strictly(body, "RGB")


def _decode_strictly(body: bytes, colorspace: str, min_factor: int = 1) -> ImageU8:
    """Decode a JPEG in which every warning of libjpeg is an error, after mending what leaves all pixels intact."""

    def decode(body: bytes) -> ImageU8:
        pixels: ImageU8 = simplejpeg.decode_jpeg(
            body, colorspace=colorspace, min_factor=min_factor, strict=True
        )
        return pixels

    try:
        return decode(body)
    except ValueError as error:
        pixels = jpeg.mend(body, decode)
        if pixels is None:
            raise pillow.damaged("JPEG", error) from error
        return pixels


def _pillow_pixels(image: ImageFile.ImageFile, kind: str) -> ImageU8:
    pillow.load(image, kind)
    return _rgb(image)


def _rgb(image: Image.Image) -> ImageU8:
    """Convert a loaded image to (H, W, 3) uint8 in strips, as Pillow would hold two more copies of a whole one."""
    image.info.pop("transparency", None)  # avoids a warning when a palette is converted
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        end = min(top + rows, height)
        pixels[top:end] = pillow.strip(image.crop((0, top, width, end)))
    return pixels
