"""Mosaics are read piece by piece, and every pixel equals that of the same file read as a whole."""

from __future__ import annotations

import errno
import io
import os
import struct
import tempfile
from collections import namedtuple
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quadrat.errors import ImageFormatError, ImageSizeError, ImageTruncatedError, InputError, QuadratError
from quadrat.media import images, scratch, tiff
from quadrat.media.images import decode
from quadrat.types import Blob, Frame, FrameKey
from tests import pictures
from tests.pictures import drawing, encode, oriented, png

FOLDER = Path(__file__).parent / "mosaics"
RGB = drawing(72, 100)
GREY = RGB[..., :1].repeat(3, axis=2)
EXACT = {
    "one-strip": RGB, "big-endian-rgb16-lzw": RGB, "planes-of-strips": RGB, "grey16-strips": GREY,
    "white-is-zero": GREY, "rgba16": RGB, "cloud-optimised": None, "bigtiff-deflate": RGB,
    "planes-lzw": RGB, "rgba-lzw": RGB, "four-bands16-zstd": RGB,
}  # fmt: skip
LOSSY = ("jpeg-strips", "jpeg-rgb", "mask-and-overviews")
REFUSED = {
    "float": "no defined brightness", "pages": "several pictures", "big-big-endian": "big-endian",
    "bands-without-colours": "variant of TIFF is not supported",
}  # fmt: skip

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat pictures of more than a thousand pixels as mosaics."""
    monkeypatch.setattr(images, "MAX_SOURCE_PIXELS", 1000)
    monkeypatch.setattr(scratch, "LARGE_PIXELS", 1000)


@pytest.fixture
def read(small: None, tmp_path: Path) -> Callable[..., Frame]:
    """Read a file, or bytes, as a mosaic."""

    def mosaic(given: Path | bytes, max_pixels: int = -1) -> Frame:
        path = given if isinstance(given, Path) else tmp_path / "given"
        if isinstance(given, bytes):
            path.write_bytes(given)
        return decode(Blob(path), FrameKey("urn:m"), max_pixels, mosaic=True)

    return mosaic


def whole(body: bytes, max_pixels: int = -1) -> Frame:
    """Read bytes as a photograph, ignoring the limit of the fixtures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "MAX_SOURCE_PIXELS", 10**6)
        return decode(Blob(body), FrameKey("urn:m"), max_pixels)


def same(one: Frame, other: Frame) -> None:
    """Check that two frames are equal in every field."""
    np.testing.assert_array_equal(one.pixels, other.pixels)
    for name in ("key", "source_hw", "digest", "exif", "time_s", "skipped"):
        assert getattr(one, name) == getattr(other, name)
    assert one.pixels.dtype == other.pixels.dtype
    assert one.pixels.flags.c_contiguous


@pytest.mark.parametrize("name", [*EXACT, *LOSSY])
def test_files_of_other_writers_are_read_as_they_are_read_whole(
    name: str, read: Callable[..., Frame]
) -> None:
    """Tiles, strips and planes of GDAL and tifffile, in every compression and depth, give the same frame."""
    path = FOLDER / f"{name}.tif"
    frame = read(path)
    same(frame, whole(path.read_bytes()))
    wanted = EXACT.get(name)
    if wanted is not None:
        np.testing.assert_array_equal(frame.pixels, wanted)
    else:
        assert np.abs(frame.pixels.astype(int) - RGB).mean() < 4


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_one_meaning_is_refused(name: str, read: Callable[..., Frame]) -> None:
    """Several pictures, undefined brightness ranges and bands without colours are refused in both ways."""
    path = FOLDER / f"{name}.tif"
    for attempt in (lambda: read(path), lambda: whole(path.read_bytes())):
        with pytest.raises(ImageFormatError, match=REFUSED[name]):
            attempt()


def test_tiles_that_were_never_written_are_black(read: Callable[..., Frame]) -> None:
    """GDAL omits tiles without data from sparse files."""
    wanted = np.zeros_like(RGB)
    wanted[32:64, :32] = RGB[32:64, :32]
    np.testing.assert_array_equal(read(FOLDER / "sparse.tif").pixels, wanted)


@pytest.mark.parametrize("packing", ["raw", "tiff_lzw", "jpeg", "packbits"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_mosaic_is_upright(turn: int, packing: str, read: Callable[..., Frame]) -> None:
    """Mosaics are rotated by EXIF, at full size and shrunk."""
    body = oriented(RGB, turn, "TIFF", compression=packing)
    same(read(body), whole(body))
    small, wanted = read(body, 3000), whole(body, 3000)
    assert small.source_hw == wanted.source_hw == (72, 100)
    np.testing.assert_allclose(small.pixels.astype(int), wanted.pixels, atol=1)


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "RGBA", "LA", "RGBX"])
def test_every_mode_is_made_rgb_as_of_a_photograph(mode: str, read: Callable[..., Frame]) -> None:
    """Palettes, inks and alpha are treated as in photographs."""
    image = Image.fromarray(RGB)
    image = image.convert("RGBA").convert(mode) if mode in ("LA", "RGBA") else image.convert(mode)
    body = encode(image, "TIFF", compression="raw" if mode == "RGBX" else "tiff_lzw")
    same(read(body), whole(body))


def test_camera_tags_are_kept(read: Callable[..., Frame]) -> None:
    """EXIF make and position are read from mosaics as well."""
    exif = Image.Exif()
    exif[0x010F] = "Quadrat Instruments"
    body = encode(RGB, "TIFF", exif=exif)
    assert read(body).exif == {"Make": "Quadrat Instruments"}


@pytest.mark.parametrize(
    "name", [n for n in (*EXACT, *LOSSY) if n not in ("cloud-optimised", "mask-and-overviews")]
)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.7, 0.97])
def test_a_mosaic_cut_anywhere_is_refused(name: str, share: float, read: Callable[..., Frame]) -> None:
    """A truncated mosaic never returns pixels."""
    body = (FOLDER / f"{name}.tif").read_bytes()
    with pytest.raises(ImageTruncatedError):
        read(body[: int(len(body) * share)])


@pytest.mark.parametrize(
    "name", ["bigtiff-deflate", "jpeg-rgb", "planes-lzw", "mask-and-overviews", "one-strip"]
)
def test_any_flipped_bit_gives_an_error_of_ours_or_a_picture(name: str, read: Callable[..., Frame]) -> None:
    """Damage anywhere in a mosaic raises only InputErrors, without warnings or crashes."""
    body, generator = (FOLDER / f"{name}.tif").read_bytes(), np.random.default_rng(7)
    heads = generator.integers(0, min(len(body), 1500), 60)
    places = np.concatenate([heads, generator.integers(0, len(body), 30)])
    for place, bit in zip(places, generator.integers(0, 8, len(places)), strict=True):
        damaged = bytearray(body)
        damaged[place] ^= 1 << bit
        with suppress(InputError):
            assert read(bytes(damaged), 1000).pixels.ndim == 3


def test_a_damaged_jpeg_tile_is_refused_and_not_filled_with_grey(read: Callable[..., Frame]) -> None:
    """A tile whose scan ends early is an error, as in a photograph."""
    body = bytearray((FOLDER / "jpeg-rgb.tif").read_bytes())
    ends = [i for i in range(len(body) - 1) if body[i : i + 2] == b"\xff\xd9"]
    body[ends[3] - 30 : ends[3]] = b"\xff\xd9" * 15
    with pytest.raises(ImageTruncatedError, match="damaged"):
        read(bytes(body))


def test_without_tiles_it_is_refused_with_what_to_do(small: None) -> None:
    """The limit of photographs applies, and the error names the parameter that lifts it."""
    with pytest.raises(ImageSizeError, match=r"100 x 72.*--tile-size"):
        decode(Blob(FOLDER / "rgba-lzw.tif"), FrameKey("urn:m"), -1)


def test_other_formats_keep_their_limit(read: Callable[..., Frame]) -> None:
    """A PNG cannot be read by pieces; the error says what can."""
    with pytest.raises(ImageSizeError, match="save it as a TIFF"):
        read(png(RGB))


@pytest.mark.parametrize("name", [*pictures.good_pictures(), *pictures.bad_pictures()])
def test_within_the_limit_a_file_is_a_photograph(name: str, tmp_path: Path) -> None:
    """For a file that is no mosaic, with tiles or without, it is `decode` of its bytes, errors and all."""
    good, bad = pictures.good_pictures(), pictures.bad_pictures()
    body = good[name] if name in good else bad[name][0]
    (tmp_path / name).write_bytes(body)

    def outcome(attempt: Callable[[], Frame]) -> Frame | str:
        try:
            return attempt()
        except QuadratError as error:
            return error.line

    wanted = outcome(lambda: decode(Blob(body), FrameKey("urn:m"), 2000))
    for mosaic in (False, True):
        found = outcome(lambda m=mosaic: decode(Blob(tmp_path / name), FrameKey("urn:m"), 2000, mosaic=m))
        if isinstance(wanted, Frame) and isinstance(found, Frame):
            same(found, wanted)
        else:
            assert found == wanted


def header(width: int, height: int, rows: int, packing: int = 5) -> bytes:
    """Return a TIFF whose header declares a picture in strips of this many rows, with hardly any data."""
    tags = [
        (256, width),
        (257, height),
        (258, 8),
        (259, packing),
        (262, 1),
        (273, 200),
        (277, 1),
        (278, rows),
        (279, 9),
    ]
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(100)


def test_bombs_are_refused_by_their_header(
    read: Callable[..., Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many pixels, too little disk space or a huge compressed strip are refused before decoding, with a hint."""
    with pytest.raises(ImageSizeError, match="20000 million for a mosaic"):
        read(header(200_000, 200_000, 1))
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: Usage(0, 0, 10**9))
    with pytest.raises(ImageSizeError, match=r"needs 9.6 GB of disk, but .* has only 1.0 GB free.*TMPDIR"):
        read(header(40_000, 40_000, 40_000))
    with pytest.raises(ImageFormatError, match=r"strips of 36 million pixels.*TILED=YES"):
        read(header(6_000, 6_000, 6_000))
    with pytest.raises(ImageTruncatedError, match="1 of 6000 tiles or strips"):
        read(header(6_000, 6_000, 1))


def test_a_full_disk_is_an_error_and_not_a_dead_process(
    read: Callable[..., Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Disk space is allocated before writing, as a full disk would kill the process later."""

    def full(_file: int, _offset: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ImageSizeError, match="GB free"):
        read(FOLDER / "one-strip.tif")


def test_nothing_is_left_on_disk(
    read: Callable[..., Frame], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of a mosaic has no name, even while in use."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    frame = read(FOLDER / "one-strip.tif")
    assert frame.pixels.size
    assert frame.pixels.flags.writeable
    assert not list(folder.iterdir())


def test_one_strip_of_plain_numbers_is_read_by_rows(
    read: Callable[..., Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture in one uncompressed strip, or one per plane, is not read as a whole."""
    monkeypatch.setattr(tiff, "_RAW_PIXELS", 700)
    monkeypatch.setattr(tiff, "MAX_PIECE_PIXELS", 700)
    for name in ("one-strip", "planes-of-strips"):
        np.testing.assert_array_equal(read(FOLDER / f"{name}.tif").pixels, RGB)


def test_pixels_beyond_the_end_are_refused_from_the_tags() -> None:
    """A strip that starts in the file and ends after it is an error before anything is decoded."""
    body = encode(RGB, "TIFF")
    with Image.open(io.BytesIO(body)) as image:
        assert tiff.read_layout(image, len(body)).hw == RGB.shape[:2]  # type: ignore[arg-type]  # it is a TIFF
        with pytest.raises(ImageTruncatedError, match="beyond the end of the file"):
            tiff.read_layout(image, image.tag_v2[273][-1] + 1)  # type: ignore[arg-type,attr-defined]  # as above


def test_the_limit_of_large_planes() -> None:
    """A plane of LARGE_PIXELS is kept in memory, and one pixel more is not."""
    assert not scratch.large((1, scratch.LARGE_PIXELS))
    assert scratch.large((1, scratch.LARGE_PIXELS + 1))


@pytest.mark.parametrize("mosaic", [False, True])
def test_a_jpeg_larger_than_its_tile_is_refused_undecoded(
    monkeypatch: pytest.MonkeyPatch, mosaic: bool, tmp_path: Path
) -> None:
    """A tile that holds a JPEG of another size, however well it compresses, is refused before it takes memory."""
    body = encode(Image.new("RGB", (512, 512), (90, 120, 60)), "TIFF", compression="jpeg", strip_size=10**7)
    at = body.index(b"\xff\xc0")
    body = body[: at + 5] + struct.pack(">HH", 60_000, 60_000) + body[at + 9 :]
    decoded: list[int] = []
    monkeypatch.setattr("quadrat.media.mosaic.simplejpeg.decode_jpeg", lambda *_, **__: decoded.append(1))
    if mosaic:
        monkeypatch.setattr(images, "MAX_SOURCE_PIXELS", 1000)
    with pytest.raises(ImageTruncatedError, match="larger than stated"):
        decode(Blob(body), FrameKey("urn:m"), -1, mosaic=mosaic)
    assert decoded == []
