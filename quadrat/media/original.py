"""What an enhanced picture keeps of its file: format, EXIF, colour profile and alpha, for pixels that are upright."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin

from quadrat.geometry import HW
from quadrat.media import png
from quadrat.media.exif import upright
from quadrat.media.pillow import quiet
from quadrat.types import Original

GEO_TAGS = (33550, 33922, 34264, 34735, 34736, 34737)
"""Tags of GeoTIFF: they describe a picture of the same size that is not turned."""
PLACE = "place on the map"
"""What such a picture loses if its size changes or if it is turned."""
TEXT_TAGS = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 42112, 42113)
"""Tags of a TIFF about the picture: description, camera, resolution, software, time, artist, copyright, GDAL's."""
_EXIF, _GPS = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
_PREFIX = b"Exif\0\0"
_SHORT, _LONG, _ORIENTATION, _WIDTH, _HEIGHT = 3, 4, 0x0112, 0xA002, 0xA003
_RGB_AT = slice(16, 20)


def original_of(
    image: ImageFile.ImageFile,
    kind: str,
    body: bytes,
    *,
    turn: int,
    bits: int,
    whole: bool = True,
    turned: bool = False,
) -> Original:
    """Return what to keep of an open picture that has been decoded.

    `body` is the whole file, which is needed for a PNG only; `turn` is the EXIF orientation of the pixels as decoded, `bits` the bits of its
    samples; a TIFF that was `turned` has lost its place on the map. Damaged metadata counts as none. Without `whole`, as for a mosaic, the pixels are not read, and alpha is
    lost.
    """
    exif, profile = b"", b""
    tags: Mapping[int, Any] = {}
    with suppress(Exception), quiet():  # invalid metadata can raise anything in Pillow
        profile = png.profile(body) if kind == "PNG" else image.info.get("icc_profile") or b""
    with suppress(Exception), quiet():
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            tags = _tiff_tags(image, turned=turned)
        else:
            exif = image.info.get("exif") or b""
    if profile[_RGB_AT] != b"RGB ":
        profile = b""  # of grey or CMYK, but the result is RGB
    keyed = (
        "transparency" in image.info and bits > 8
    )  # a transparent colour that 8 bits cannot tell from others
    alpha = _alpha(image, turn) if whole and not keyed else None
    lost = ("alpha",) if keyed or (not whole and "A" in image.getbands()) else ()
    if turned and isinstance(image, TiffImagePlugin.TiffImageFile) and set(GEO_TAGS) & set(image.tag_v2):
        lost = (*lost, PLACE)
    return Original(kind, bits, exif, profile, alpha, tags, lost)


def exif_for(exif: bytes, hw: HW) -> bytes:
    """Return EXIF for an upright picture of `hw` (height, width) pixels; b"" if it is damaged.

    Every byte stays in its place, so that notes of the camera's maker stay valid: the orientation becomes 1, the
    size is corrected, and the thumbnail, which shows the old picture, is no longer referred to.
    """
    changed = bytearray(exif.removeprefix(_PREFIX))
    order = {b"II": "<", b"MM": ">"}.get(bytes(changed[:2]), "")
    try:
        if not order:
            return b""
        (first,) = struct.unpack_from(f"{order}I", changed, 4)
        inner, size = 0, {_WIDTH: hw[1], _HEIGHT: hw[0]}
        (count,) = struct.unpack_from(f"{order}H", changed, first)
        for at in range(first + 2, first + 2 + 12 * count, 12):
            if struct.unpack_from(f"{order}H", changed, at) == (_ORIENTATION,):  # of whatever type
                struct.pack_into(f"{order}HIHH", changed, at + 2, _SHORT, 1, 1, 0)
        for _, tag, _, value in _entries(changed, order, first):
            inner = value if tag == _EXIF else inner
        struct.pack_into(f"{order}I", changed, first + 2 + 12 * count, 0)
        for at, tag, kind, _ in _entries(changed, order, inner) if inner else ():
            if tag in size and kind in (_SHORT, _LONG):
                struct.pack_into(f"{order}{'H' if kind == _SHORT else 'I'}", changed, at, size[tag])
    except struct.error:
        return b""
    return _PREFIX + bytes(changed)


def tags_for(original: Original, hw: HW, source_hw: HW) -> Image.Exif:
    """Return the tags of a TIFF for a picture of `hw`; those that place it on a map only if it has the source's size."""
    kept = Image.Exif()
    for tag, value in original.tags.items():
        if tag in (_EXIF, _GPS):
            size = {key: side for key, side in ((_WIDTH, hw[1]), (_HEIGHT, hw[0])) if key in value}
            value = {**value, **size}  # noqa: PLW2901 - the value of this picture
            kept.get_ifd(tag).update(value)
        if tag not in GEO_TAGS or hw == source_hw:
            kept[tag] = value
    return kept


def _entries(body: bytearray, order: str, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the offset of the value, the tag, the type and the value of each entry of an IFD that fits into 4 bytes."""
    (count,) = struct.unpack_from(f"{order}H", body, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", body, at)
        (value,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", body, at + 8)
        if number == 1:
            yield at + 8, tag, kind, value


def _tiff_tags(image: TiffImagePlugin.TiffImageFile, *, turned: bool) -> dict[int, Any]:
    kept = TEXT_TAGS if turned else (*TEXT_TAGS, *GEO_TAGS)
    tags = {tag: image.tag_v2[tag] for tag in kept if tag in image.tag_v2}
    exif = image.getexif()
    return tags | {ifd: dict(found) for ifd in (_EXIF, _GPS) if (found := exif.get_ifd(ifd))}


def _alpha(image: Image.Image, turn: int) -> NDArray[np.uint8] | None:
    """Return the alpha channel (H, W) uint8, upright; None without one or if it is opaque everywhere."""
    if "A" in image.getbands():
        plane = np.asarray(image.getchannel("A"))
    elif "transparency" in image.info:
        plane = np.asarray(image.convert("RGBA").getchannel("A"))
    else:
        return None
    return None if plane.min(initial=255) == 255 else upright(plane[..., None], turn)[..., 0]


def deflated(profile: bytes) -> bytes:
    """Return a colour profile as the content of a chunk iCCP of a PNG."""
    return b"ICC profile\0\0" + zlib.compress(profile)
