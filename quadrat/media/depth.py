"""The significant bits of 16-bit samples: many cameras and programs store 8, 12 or 14 bits in 16.

The number comes from the order (`sample-bits`), else from the file's own tags, else from the values of the picture itself.
Of n bits the high 8 are kept, so that a picture gives the same pixels however it was stored.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from quadrat.errors import ImageFormatError
from quadrat.facts import SampleDepth
from quadrat.types import ImageU8

GUESSED_BITS = (8, 12, 14)
"""Numbers of bits that are recognised by the largest value. 10 bits are not: a dark picture of 12 bits would pass for them."""
BITS_PER_SAMPLE, VALUES, GIVEN = "BitsPerSample", "values", "sample-bits"
_MAXIMA = {"MaxSampleValue": 281, "SMaxSampleValue": 341}
_BITS_TAG = 258
_PNG_DEPTH_AT = 24
_FULL_BYTE = 1 << (max(GUESSED_BITS) - 8)
_STRIP_PIXELS = 1 << 18


def stored_bits(image: Image.Image, body: bytes) -> int:
    """Return the bits of a sample as a TIFF or PNG file declares them; 8 for all other files."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(_numbers(image.tag_v2.get(_BITS_TAG, 8)), default=8)
    is_png = body.startswith(b"\x89PNG") and len(body) > _PNG_DEPTH_AT
    return body[_PNG_DEPTH_AT] if is_png else 8


def stated_depth(image: Image.Image, bits: int, given: int | None) -> SampleDepth | None:
    """Return the depth that the order (`given`) or the file's tags state; None if they state none.

    `bits` are the bits of a stored sample. TIFF 6.0 has MaxSampleValue for statistics only, so it counts only if it is the
    largest value of a whole number of bits, such as 4095.
    """
    if given is not None:
        return SampleDepth(given, GIVEN)
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    if 8 < bits < 16:
        return SampleDepth(bits, BITS_PER_SAMPLE)
    for name, tag in _MAXIMA.items():
        most = max(_numbers(image.tag_v2.get(tag, 0)), default=0)
        if 255 <= most <= 65535 and most & (most + 1) == 0:
            return SampleDepth(most.bit_length(), name)
    return None


def high_bytes(
    image: Image.Image, body: bytes, rgb: ImageU8 | None, given: int | None
) -> tuple[ImageU8, SampleDepth | None]:
    """Return the pixels (h, w, 3) uint8 RGB of a loaded picture with more than 8 bits, and its depth.

    `rgb` are the high bytes of a picture in colour; None for a grey one. The depth is None if values and tags agree that
    all 16 bits are used. Raises ImageFormatError if a picture in colour does not use all bits and its low bytes cannot be
    read.
    """
    bits = stored_bits(image, body)
    stated = stated_depth(image, bits, given)
    if rgb is not None and stated in (None, SampleDepth(16, GIVEN)) and int(rgb.max()) >= _FULL_BYTE:
        return rgb, None
    values = np.asarray(image) if rgb is None else _colour(body, rgb)
    depth = _depth(_largest(values), stated)
    small = _shifted(values, 16 if depth is None else depth.bits)
    return (np.repeat(small[..., None], 3, axis=2) if small.ndim == 2 else small), depth


def check_depth(depth: SampleDepth | None, bits: int, most: int, *, grey: bool) -> None:
    """Raise ImageFormatError if a mosaic, which is read piece by piece, uses only some of its bits and none says which.

    `bits` are the bits of a stored sample, and `most` is the largest pixel, of 255.
    """
    if bits > 8 and depth is None and most < _FULL_BYTE:
        raise ImageFormatError(
            "its samples of 16 bits use at most 14, and no tag states how many",
            hint="Give their number with --sample-bits; 16 takes the values as they are",
        )
    if depth is not None and depth.bits < 16 and not grey:
        raise _unreadable()


def shifted(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Return the high 8 of `bits` bits of each value; larger values become 255."""
    return np.asarray(np.minimum(values, (1 << bits) - 1) >> (bits - 8), np.uint8)


def _depth(largest: int, stated: SampleDepth | None) -> SampleDepth | None:
    """Return the stated depth unless values contradict the tags; else the one that the largest value shows."""
    if stated is not None and (stated.source == GIVEN or largest >> stated.bits == 0):
        return stated if stated.bits < 16 else None
    bits = next((bits for bits in GUESSED_BITS if largest >> bits == 0), 16)
    return SampleDepth(bits, VALUES) if bits < 16 else None


def _shifted(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Convert in strips, because whole copies of a large picture take much memory."""
    small = np.empty(values.shape, np.uint8)
    rows = max(1, _STRIP_PIXELS // values.shape[1])
    for top in range(0, values.shape[0], rows):
        small[top : top + rows] = shifted(values[top : top + rows], bits)
    return small


def _largest(values: NDArray[Any]) -> int:
    return int(values.max(initial=0))


def _colour(body: bytes, rgb: ImageU8) -> NDArray[np.uint16]:
    """Decode the 16-bit samples (h, w, 3) of a colour picture; Pillow would keep only their high bytes."""
    read: Any = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_UNCHANGED)
    if read is None or read.dtype != np.uint16 or read.ndim != 3 or read.shape[:2] != rgb.shape[:2]:
        raise _unreadable()
    values: NDArray[np.uint16] = read[..., 2::-1]
    if not np.array_equal(values >> 8, rgb):
        raise _unreadable()
    return values


def _unreadable() -> ImageFormatError:
    return ImageFormatError(
        "its samples of 16 bits use at most 14, and their low bytes cannot be read",
        hint="Save it as 8-bit RGB, or scale its values to the full range",
    )


def _numbers(value: Any) -> tuple[int, ...]:
    """Return the numbers of a tag; none if it is damaged."""
    listed = value if isinstance(value, tuple) else (value,)
    return tuple(int(each) for each in listed if isinstance(each, int | float) and 0 <= each < 1 << 32)
