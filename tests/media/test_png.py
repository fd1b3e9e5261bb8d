"""PNGs are read whatever metadata they carry, and not if a chunk of their pixels is damaged."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from quadrat.errors import ImageTruncatedError
from quadrat.media import png
from quadrat.media.images import decode
from quadrat.types import Blob, FrameKey
from tests import pictures

KEY = FrameKey("urn:test:1")
NOISE = np.random.default_rng(0).integers(0, 256, 1_100_000, np.uint8).tobytes()


def chunk(kind: bytes, content: bytes, wrong: int = 0) -> bytes:
    """Write a chunk; `wrong` is added to its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(
        ">I", (zlib.crc32(kind + content) + wrong) % 2**32
    )  # fmt: skip


def with_chunk(extra: bytes, body: bytes | None = None) -> bytes:
    """Put chunks behind the header of a PNG."""
    body = pictures.png() if body is None else body
    return body[:33] + extra + body[33:]


METADATA = {
    "a profile of a megabyte": chunk(b"iCCP", b"printer\0\0" + zlib.compress(NOISE)),
    "a text of two megabytes": chunk(
        b"zTXt", b"history\0\0" + zlib.compress(b"step of a workflow; " * 100_000)
    ),
    "a bomb": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(50_000_000))),
    "a large XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x/>" * 500_000)),
    "a plain text": chunk(b"tEXt", b"Comment\0" + NOISE),
    "many texts": chunk(b"tEXt", b"Comment\0" + bytes(1000)) * 70_000,
    "a wrong checksum of the time": chunk(b"tIME", b"\x07\xe8\x01\x01\0\0\0", wrong=1),
    "a wrong checksum of a text": chunk(b"tEXt", b"Comment\0hello", wrong=5),
    "a wrong checksum of EXIF": chunk(b"eXIf", b"II*\0" + bytes(20), wrong=1),
    "broken compression": chunk(b"zTXt", b"Raw profile type exif\0\0broken"),
    "an unknown chunk": chunk(b"quAd", NOISE),
}


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize("form", ["colour", "palette"])
def test_metadata_changes_no_pixel(name: str, form: str) -> None:
    """A picture with any ancillary chunk has the pixels that it has without it."""
    body = pictures.png() if form == "colour" else pictures.palette_png()
    found, wanted = (decode(Blob(each), KEY, None) for each in (with_chunk(METADATA[name], body), body))
    np.testing.assert_array_equal(found.pixels, wanted.pixels)


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_a_damaged_chunk_of_the_picture_is_refused(kind: bytes) -> None:
    """Every flipped bit in a critical chunk is found by its checksum."""
    body = pictures.png()
    at = body.index(kind)
    size = struct.unpack_from(">I", body, at - 4)[0]
    for place in np.random.default_rng(1).integers(at + 4, at + 4 + size, 40):
        damaged = bytearray(body)
        damaged[place] ^= 1 << int(place) % 8
        with pytest.raises(ImageTruncatedError, match="checksum"):
            png.essential(bytes(damaged))


def test_the_orientation_is_kept() -> None:
    """EXIF, and XMP of ordinary size, turn a picture upright, also beside metadata that is left out."""
    extra = METADATA["a profile of a megabyte"]
    body = pictures.oriented(pictures.drawing(), 6)
    np.testing.assert_array_equal(decode(Blob(with_chunk(extra, body)), KEY, None).pixels, pictures.drawing())
    xmp = b'<rdf:Description tiff:Orientation="6"/>'
    for content in (b"\0\0\0\0" + xmp, b"\1\0\0\0" + zlib.compress(xmp)):
        text = chunk(b"iTXt", b"XML:com.adobe.xmp\0" + content)
        turned = pictures.png(np.rot90(pictures.drawing()))
        frame = decode(Blob(with_chunk(extra + text, turned)), KEY, None)
        np.testing.assert_array_equal(frame.pixels, pictures.drawing())


def test_a_plain_file_is_left_as_it_is() -> None:
    """Without metadata to leave out, nothing is copied."""
    body = pictures.png(exif=Image.Exif())
    assert png.essential(body) is body


@given(st.binary(max_size=80), st.integers(8, 200))
def test_any_bytes_can_be_walked(noise: bytes, kept: int) -> None:
    """Whatever follows a beginning, the result is bytes or damage."""
    body = pictures.png()[:kept] + noise
    with suppress(ImageTruncatedError):
        assert png.essential(body).startswith(body[:8])
