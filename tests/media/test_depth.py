"""16-bit samples that use only 8, 12 or 14 bits."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from quadrat.errors import ImageFormatError
from quadrat.facts import SampleDepth
from quadrat.media import images, mosaic, sequence
from quadrat.media.depth import GUESSED_BITS
from quadrat.media.facts import flags_of
from quadrat.parameters import FrameSettings
from quadrat.types import Blob, Frame, FrameKey, Source
from tests import pictures

GREY = pictures.drawing(300, 400)[..., 1].astype(np.uint16)
GREY[0, 0] = 255  # all bits are used
COLOUR = pictures.drawing(300, 400).astype(np.uint16)
COLOUR[0, 0] = 255


def tiff(samples: NDArray[np.uint16], tags: dict[int, int] | None = None, bits: int = 16) -> bytes:
    """Write a grey TIFF of one strip with further tags."""
    height, width = samples.shape
    rows = samples.astype("<u2").tobytes()
    if bits == 12:
        planes = np.unpackbits(samples.astype(">u2").view(np.uint8).reshape(height, width, 2), axis=2)[
            ..., 4:
        ]
        rows = np.packbits(planes.reshape(height, -1), axis=1).tobytes()
    fields = {
        256: width,
        257: height,
        258: bits,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: height,
        279: len(rows),
    } | (tags or {})
    entries = b"".join(
        struct.pack("<HHLL", tag, 4 if value > 65535 else 3, 1, value)
        for tag, value in sorted(fields.items())
    )
    return (
        b"II*\0"
        + struct.pack("<L", 8 + len(rows))
        + rows
        + struct.pack("<H", len(fields))
        + entries
        + bytes(4)
    )


def decode(body: bytes, **more: Any) -> Frame:
    """Decode a picture at its own size."""
    return images.decode(Blob(body), FrameKey("urn:p"), -1, **more)


def coded(samples: NDArray[np.uint16], suffix: str) -> bytes:
    """Write samples as OpenCV does; colours are RGB."""
    ordered = samples if samples.ndim == 2 else samples[..., [2, 1, 0, *range(3, samples.shape[2])]]
    return bytes(cv2.imencode(suffix, ordered)[1].tobytes())


@pytest.mark.parametrize("bits", [*GUESSED_BITS, 16])
@pytest.mark.parametrize("kind", ["tiff", ".png", ".tif", "colour.png", "colour.tif", "alpha.png"])
def test_a_picture_gives_the_same_pixels_however_many_bits_hold_it(kind: str, bits: int) -> None:
    """From one source, grey and in colour: the number of bits is found, stated and flagged."""
    full = (GREY if kind in ("tiff", ".png", ".tif") else COLOUR) * 257
    samples = full >> (16 - bits)
    if kind.startswith("alpha"):
        samples = np.dstack([samples, np.full(samples.shape[:2], 65535, np.uint16)])
    body = tiff(samples) if kind == "tiff" else coded(samples, kind[kind.index(".") :])
    frame = decode(body)

    wanted = GREY[..., None].repeat(3, axis=2) if full.ndim == 2 else COLOUR
    np.testing.assert_array_equal(frame.pixels, wanted)
    assert frame.depth == (None if bits == 16 else SampleDepth(bits, "values"))
    assert ("depth" in flags_of(frame.facts, frame.source_hw, frame.depth)) == (bits < 16)
    assert frame.facts == decode(coded(full, ".png")).facts


@pytest.mark.parametrize(
    ("tags", "bits", "source"),
    [
        ({281: 4095}, 12, "MaxSampleValue"), ({341: 1023}, 10, "SMaxSampleValue"), ({281: 65535}, None, ""),
        ({281: 1000}, 8, "values"), ({281: 0}, 8, "values"), ({341: 255, 281: 4095}, 12, "MaxSampleValue"),
    ],
)  # fmt: skip
def test_tags_come_before_values(tags: dict[int, int], bits: int | None, source: str) -> None:
    """If they state whole bits: a maximum such as 1000 is a statistic."""
    frame = decode(tiff(GREY, tags))  # a dark picture, or one of 8 bits
    assert frame.depth == (None if bits is None else SampleDepth(bits, source))
    np.testing.assert_array_equal(frame.pixels[..., 0], GREY >> ((bits or 16) - 8))
    assert "depth" not in flags_of(frame.facts, frame.source_hw, frame.depth) or source == "values"


def test_tags_that_the_values_contradict_do_not_count() -> None:
    """A tag of 4095 on samples up to 65535 would make everything white."""
    frame = decode(tiff(GREY * 257, {281: 4095}))
    assert frame.depth is None
    np.testing.assert_array_equal(frame.pixels[..., 0], GREY)


def test_packed_12_bits_were_black() -> None:
    """BitsPerSample states them."""
    frame = decode(tiff((GREY * 257) >> 4, bits=12))
    assert frame.depth == SampleDepth(12, "BitsPerSample")
    np.testing.assert_array_equal(frame.pixels[..., 0], GREY)


@pytest.mark.parametrize(("bits", "shift"), [(16, 8), (12, 4), (10, 2), (8, 0)])
def test_the_order_may_state_the_bits(bits: int, shift: int) -> None:
    """It comes before tags and values, and larger values are white; nothing is flagged."""
    for body in (tiff(GREY, {281: 4095}), coded(COLOUR, ".png")):
        frame = decode(body, sample_bits=bits)
        wanted = (GREY if body[:2] == b"II" else COLOUR) >> shift
        np.testing.assert_array_equal(
            frame.pixels[..., : 1 if wanted.ndim == 2 else 3], wanted.reshape(300, 400, -1)
        )
        assert frame.depth == (None if bits == 16 else SampleDepth(bits, "sample-bits"))
    assert decode(tiff(GREY * 257), sample_bits=12).pixels.max() == 255


def test_files_of_8_bits_have_no_depth() -> None:
    """Whatever the order states."""
    for kind in ("PNG", "TIFF", "BMP", "JPEG", "WEBP"):
        body = pictures.encode(pictures.drawing(), kind)
        assert decode(body, sample_bits=12).depth is None
        np.testing.assert_array_equal(decode(body, sample_bits=12).pixels, decode(body).pixels)


def test_a_mosaic_states_its_bits_or_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is read piece by piece, so its largest value is known too late."""
    monkeypatch.setattr(images, "MAX_SOURCE_PIXELS", 1000)
    assert mosaic.MAX_MOSAIC_PIXELS > 1000
    dark, stated = tmp_path / "dark.tif", tmp_path / "stated.tif"
    dark.write_bytes(tiff((GREY * 257) >> 4))
    stated.write_bytes(tiff((GREY * 257) >> 4, {281: 4095}))
    with pytest.raises(ImageFormatError, match="use at most 14") as caught:
        images.decode(Blob(dark), FrameKey("urn:p"), -1, mosaic=True)
    assert "--sample-bits" in caught.value.hint
    for path, bits, source in ((dark, 12, "sample-bits"), (stated, None, "MaxSampleValue")):
        frame = images.decode(Blob(path), FrameKey("urn:p"), -1, mosaic=True, sample_bits=bits)
        assert frame.depth == SampleDepth(12, source)
        np.testing.assert_array_equal(frame.pixels[..., 0], GREY)
    as_is = images.decode(Blob(dark), FrameKey("urn:p"), -1, mosaic=True, sample_bits=16)
    assert as_is.pixels.max() == 15


def test_a_sequence_warns_of_a_guess(tmp_path: Path) -> None:
    """Once, with the first file; a stated number gives no warning."""
    for number in range(3):
        (tmp_path / f"{number}.tif").write_bytes(tiff((GREY * 257) >> 4))
    source = Source("urn:s", "s", "sequence")
    for bits, count in ((None, 1), (12, 0)):
        settings = replace(FrameSettings(), sample_bits=bits)
        reader = sequence.SequenceReader(sorted(tmp_path.iterdir()), source, settings)
        frames = list(reader)
        assert {int(frame.pixels.max()) for frame in frames} == {255}
        assert len(reader.reading.warnings) == count
