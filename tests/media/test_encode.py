"""Encoders: files decode to the original pixels, and the same array gives the same bytes."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from quadrat.media import encode
from quadrat.media.encode import as_levels, gray_png, jpeg, palette_png, write_png
from quadrat.predictions import UNKNOWN
from tests.pictures import drawing

LABELS = np.random.default_rng(5).choice(np.array([0, 1, 2, UNKNOWN], np.uint8), (40, 70))
PALETTE = [(200, 10, 10), (20, 210, 20), (30, 30, 220)]


def opened(body: bytes) -> Image.Image:
    """Load a file with Pillow."""
    with Image.open(io.BytesIO(body)) as image:
        image.load()
        return image


@pytest.mark.parametrize("palette", [PALETTE, PALETTE * 85 + [(1, 2, 3)], []], ids=len)
def test_index_is_class_for_any_palette(palette: list[tuple[int, int, int]]) -> None:
    """The palette indices are the labels, including UNKNOWN, in 8 bits, for any number of colours."""
    body = palette_png(LABELS, palette)
    image = opened(body)
    assert image.mode == "P"
    assert body[24:26] == b"\x08\x03", "8 bits, palette"
    np.testing.assert_array_equal(np.asarray(image), LABELS)
    colors = np.asarray(image.convert("RGB"))
    padded = np.zeros((256, 3), np.uint8)
    padded[: len(palette)] = np.reshape(palette, (-1, 3))
    np.testing.assert_array_equal(colors, padded[LABELS])


def test_a_palette_of_more_than_a_png_holds_is_an_error() -> None:
    """257 colours raise ValueError."""
    with pytest.raises(ValueError, match="257"):
        palette_png(LABELS, [(0, 0, 0)] * 257)


def test_grey_values_come_back() -> None:
    """An 8-bit grey PNG is lossless."""
    values = drawing()[..., 0]
    image = opened(gray_png(values))
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), values)


def test_a_jpeg_comes_back_near_and_honours_its_quality() -> None:
    """Quality 90 is accurate to a few grey levels; a lower quality gives a smaller file."""
    pixels = drawing()
    image = opened(jpeg(pixels))
    assert image.mode == "RGB"
    assert np.abs(np.asarray(image).astype(int) - pixels).mean() < 2
    assert len(jpeg(pixels, quality=40)) < len(jpeg(pixels))


def test_views_are_written_as_they_look() -> None:
    """Non-contiguous arrays are encoded correctly."""
    pixels = drawing(61, 83)
    np.testing.assert_array_equal(np.asarray(opened(gray_png(pixels[::2, ::-3, 1]))), pixels[::2, ::-3, 1])
    np.testing.assert_array_equal(np.asarray(opened(palette_png(LABELS[:, ::-1], PALETTE))), LABELS[:, ::-1])
    assert jpeg(pixels[:, ::-1]) == jpeg(pixels[:, ::-1].copy())


def test_the_same_array_gives_the_same_bytes() -> None:
    """Files contain no time stamp and do not depend on threads."""
    pixels = drawing()
    assert palette_png(LABELS, PALETTE) == palette_png(LABELS.copy(), list(PALETTE))
    assert gray_png(LABELS) == gray_png(LABELS.copy())
    assert jpeg(pixels) == jpeg(pixels.copy())


@pytest.mark.parametrize("block", [1, 70, 500, 10**6])
@pytest.mark.parametrize("palette", [None, PALETTE], ids=["grey", "palette"])
def test_a_png_written_by_rows_shows_what_the_other_shows(
    block: int, palette: list[tuple[int, int, int]] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any number of rows at a time, mode, palette and pixels equal those of the PNG encoded in memory."""
    monkeypatch.setattr(encode, "_BLOCK_PIXELS", block)
    write_png(tmp_path / "rows.png", LABELS, palette)
    rows = opened((tmp_path / "rows.png").read_bytes())
    whole = opened(gray_png(LABELS) if palette is None else palette_png(LABELS, palette))
    assert (rows.mode, rows.getpalette()) == (whole.mode, whole.getpalette())
    np.testing.assert_array_equal(np.asarray(rows), LABELS)
    cv2_reads = cv2.imread(str(tmp_path / "rows.png"), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(cv2_reads, np.asarray(whole.convert("RGB")))


def test_confidence_is_written_by_rows_in_grey_levels(tmp_path: Path) -> None:
    """Confidences are rounded to grey levels as rows are written."""
    confidence = np.linspace(0, 1, 40 * 70, dtype=np.float16).reshape(40, 70)
    write_png(tmp_path / "rows.png", confidence, levels=as_levels)
    read = np.asarray(opened((tmp_path / "rows.png").read_bytes()))
    np.testing.assert_array_equal(read, np.rint(confidence.astype(np.float32) * 255))


def test_a_palette_too_large_is_an_error_by_rows_too(tmp_path: Path) -> None:
    """Nothing is written."""
    with pytest.raises(ValueError, match="257"):
        write_png(tmp_path / "no.png", LABELS, [(0, 0, 0)] * 257)
    assert not list(tmp_path.iterdir())
