"""HEIC and JPEG XL are read with the extra `formats`; without it, and for other formats, a line says how to convert."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from quadrat.errors import ImageFormatError, ImageTruncatedError, InputError
from quadrat.media.images import decode
from quadrat.types import Blob, FrameKey
from tests.pictures import drawing

FOLDER = Path(__file__).parent / "pictures"
MODULES = {"heic": "pi_heif", "jxl": "pylibjxl.pillow_plugin"}
WORDS = {"heic": ("HEIC", "heif-convert"), "jxl": ("JPEG XL", "djxl")}


def read(body: bytes) -> np.ndarray:
    """Decode bytes to pixels."""
    return decode(Blob(body), FrameKey("urn:a"), None).pixels


@pytest.mark.parametrize("kind", MODULES)
def test_a_picture_is_read_with_the_extra(kind: str) -> None:
    """The drawing comes back, from memory and from its file, but not from a part of it."""
    pytest.importorskip(MODULES[kind])
    path = FOLDER / f"drawing.{kind}"
    frame = decode(Blob(path), FrameKey("urn:a"), None)
    assert frame.source_hw == (60, 80)
    assert np.abs(frame.pixels.astype(int) - drawing()).mean() < 3
    np.testing.assert_array_equal(read(path.read_bytes()), frame.pixels)
    body = path.read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        with pytest.raises(InputError):
            read(body[: int(len(body) * share)])


def test_damage_in_a_jpeg_xl_is_found() -> None:
    """Its decoder notices flipped bits in the pixels' data."""
    pytest.importorskip(MODULES["jxl"])
    body, random = (FOLDER / "drawing.jxl").read_bytes(), np.random.default_rng(2)
    found = 0
    for _ in range(40):
        damaged = bytearray(body)
        for at in random.integers(len(body) // 4, len(body), 3):
            damaged[at] ^= 1 << int(at) % 8
        try:
            read(bytes(damaged))
        except ImageTruncatedError:
            found += 1
    assert found > 20


@pytest.mark.parametrize("kind", MODULES)
def test_without_the_extra_a_line_says_what_to_do(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the format, the extra, and a program that converts."""
    monkeypatch.setitem(sys.modules, MODULES[kind], None)
    name, program = WORDS[kind]
    with pytest.raises(ImageFormatError, match=rf"this is {name}, .*\.\[formats\].*{program}"):
        read((FOLDER / f"drawing.{kind}").read_bytes())


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\0\0\0\x18ftypcrx ", r"a raw file of a camera.*darktable-cli"),
        (b"FUJIFILMCCD-RAW 0201", r"a raw file of a camera.*darktable-cli"),
        (b"IIU\0\x18\0\0\0", r"a raw file of a camera.*darktable-cli"),
        (b"\0\0\0\x1cftypavif", r"AVIF.*avifdec"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", r"JPEG 2000.*opj_decompress"),
    ],
)
def test_other_formats_are_told_a_program(head: bytes, words: str) -> None:
    """A format that quadrat does not read is named, with a command that converts it."""
    with pytest.raises(ImageFormatError, match=words):
        read(head + bytes(200))
