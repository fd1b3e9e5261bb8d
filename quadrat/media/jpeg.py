"""Read the structure of a JPEG: refuse variants and bombs, and mend what does not touch the pixels.

libjpeg reports every irregularity as a warning. Most of them mean wrong pixels, so a picture with a warning is
refused. Two of them are habits of cameras and programs that leave all pixels intact: zeros between the last scan and
the end marker, and a header of a sequential scan with the parameters of a progressive one, which a decoder ignores.
Names of markers are those of ITU-T T.81.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from quadrat.errors import ImageFormatError
from quadrat.media.pillow import damaged
from quadrat.types import ImageU8

MAX_SCANS = 32
SCAN_PIXELS = 1_000_000_000
"""Pixels times scans that are decoded, if there are more than MAX_SCANS: each scan goes over the whole picture. Programs
write at most about a dozen; a few kilobytes can hold thousands."""

_SOI, _EOI, _SOS, _RST0, _RST7, _TEM = 0xD8, 0xD9, 0xDA, 0xD0, 0xD7, 0x01
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)
_VARIANTS = {
    0xC3: "lossless JPEG", 0xC5: "hierarchical JPEG", 0xC6: "hierarchical JPEG", 0xC7: "hierarchical JPEG",
    0xCB: "lossless JPEG", 0xCD: "hierarchical JPEG", 0xCE: "hierarchical JPEG", 0xCF: "hierarchical JPEG",
    0xF7: "JPEG-LS",
}  # fmt: skip
_AFTER_SCAN = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
_WHOLE_SPECTRUM = b"\0\x3f\0"


@dataclass(frozen=True, slots=True)
class JpegLayout:
    """Where the parts of a JPEG are: the marker of its frame, its components, its scan headers, and its end marker.

    `frame` is 0 and `end` is -1 if there is none. `scans` holds the offset of each scan's marker. Of a sequential
    picture whose first scan holds all components, only that scan is listed, as a decoder reads no further.
    """

    frame: int
    components: int
    hw: tuple[int, int]
    scans: tuple[int, ...]
    end: int


def read_layout(body: bytes, *, whole: bool = False) -> JpegLayout:
    """Read the markers of a JPEG, as far as they are in order; with `whole`, always to the end marker."""
    at, frame, components, hw, end = 2, 0, 0, (0, 0), -1
    scans: list[int] = []
    while at + 4 <= len(body) and body[at] == 0xFF:
        kind = body[at + 1]
        if kind == 0xFF:
            at += 1
            continue
        if kind == _EOI:
            end = at
            break
        if kind in (_SOI, _TEM) or _RST0 <= kind <= _RST7:
            at += 2
            continue
        (size,) = struct.unpack_from(">H", body, at + 2)
        after = at + 2 + size
        if not frame and _is_frame(kind) and at + 10 <= len(body):
            frame, components = kind, body[at + 9]
            hw = struct.unpack_from(">HH", body, at + 5)
        elif kind == _SOS:
            scans.append(at)
            if not whole and frame in _SEQUENTIAL and body[at + 4 : at + 5] == bytes([components]):
                break
            found = _AFTER_SCAN.search(body, after)
            if found is None:
                break
            after = found.end() - 2
        at = after
    if end < 0 and body[at : at + 2] == bytes([0xFF, _EOI]):
        end = at
    return JpegLayout(frame, components, hw, tuple(scans), end)


def _is_frame(kind: int) -> bool:
    return (0xC0 <= kind <= 0xCF and kind not in _NOT_FRAMES) or kind == 0xF7


def check(body: bytes) -> None:
    """Refuse a variant of JPEG that cannot be decoded, and a picture with too many scans.

    Raises ImageFormatError.
    """
    layout = read_layout(body)
    if layout.frame in _VARIANTS:
        raise ImageFormatError(
            f"this is {_VARIANTS[layout.frame]}, a variant of JPEG that is not supported",
            hint="Save it as an ordinary JPEG or PNG",
        )
    pixels = layout.hw[0] * layout.hw[1]
    if len(layout.scans) > max(MAX_SCANS, SCAN_PIXELS // max(1, pixels)):
        raise ImageFormatError(
            f"the JPEG consists of {len(layout.scans)} scans of the whole picture, which would take too long",
            hint="Save it again",
        )


def mend(body: bytes, decode: Callable[[bytes], ImageU8]) -> ImageU8 | None:
    """Decode a JPEG without the irregularities that leave all pixels intact, or return None.

    `decode` must be strict and raise ValueError: its result then has all its pixels, and no byte of the scans is left
    over. The last byte of a scan is filled with ones. If it is a zero, all its bits must belong to the picture:
    otherwise the zero stands for a byte that was lost.
    """
    for whole, last in _mended(body):
        with suppress(ValueError):
            pixels = decode(whole)
            if not last or not _is_filled(whole, last, pixels, decode):
                return pixels
    return None


def _is_filled(body: bytes, at: int, pixels: ImageU8, decode: Callable[[bytes], ImageU8]) -> bool:
    """Return True if the last bit of the byte `at` does not belong to the picture."""
    try:
        return np.array_equal(decode(body[:at] + b"\1" + body[at + 1 :]), pixels)
    except ValueError:
        return False


def _mended(body: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield a JPEG without irregularities, without and with a zero at the end of its scan, and the place of that zero."""
    layout = read_layout(body, whole=True)
    if layout.end < 0 or not layout.scans:
        return
    changed, end = bytearray(body[: layout.end]), body[layout.end : layout.end + 2]
    if layout.frame in _SEQUENTIAL:
        for at in layout.scans:
            last = at + 2 + struct.unpack_from(">H", body, at + 2)[0]
            if at + 7 < last <= len(changed):
                changed[last - 3 : last] = _WHOLE_SPECTRUM
    while changed.endswith(b"\0") and not changed.endswith(b"\xff\0"):
        del changed[-1]
    if changed != body[: layout.end]:
        yield bytes(changed + end), 0
        yield bytes(changed + b"\0" + end), len(changed)


def check_piece(body: bytes, hw: tuple[int, int]) -> None:
    """Refuse a JPEG in a TIFF that is larger than its tile or strip of `hw`, before it is decoded.

    Raises ImageTruncatedError, and ImageFormatError as `check` does.
    """
    check(body)
    found = read_layout(body).hw
    if found[0] > hw[0] or found[1] > hw[1]:
        raise damaged("TIFF", "a tile or strip is larger than stated")
