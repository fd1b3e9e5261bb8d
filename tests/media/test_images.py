"""Decoding of pictures: formats, conversions, and the error for each kind of bad file."""

from __future__ import annotations

import hashlib
import io
import struct
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from quadrat.errors import ImageFormatError, ImageSizeError, ImageTruncatedError, InputError
from quadrat.media import images
from quadrat.media.images import MAX_SOURCE_PIXELS, decode
from quadrat.types import Blob, Frame, FrameKey
from tests import pictures
from tests.pictures import drawing, encode, jpeg, oriented, png, truncated

GOOD, BAD = pictures.good_pictures(), pictures.bad_pictures()


def read(body: bytes, max_pixels: int = -1) -> Frame:
    """Decode with an arbitrary key."""
    return decode(Blob(body), FrameKey("urn:test:1"), max_pixels)


@pytest.mark.parametrize("name", GOOD)
def test_good_pictures_become_upright_rgb(name: str) -> None:
    """Every supported format gives (H, W, 3) uint8 of the source size, the key and the file's digest."""
    frame = read(GOOD[name])
    wanted = {"1x1.png": (1, 1), "1x20000.png": (20000, 1)}.get(name, (60, 80))
    assert frame.key == FrameKey("urn:test:1")
    assert frame.source_hw == wanted == frame.pixels.shape[:2]
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.shape[2:] == (3,)
    assert frame.pixels.flags.c_contiguous
    assert frame.digest == hashlib.sha256(GOOD[name]).hexdigest()


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures_raise_their_own_error_in_one_line(name: str) -> None:
    """Each kind of bad file has its error class and message, and leaves `where` to the caller."""
    body, kind = BAD[name]
    with pytest.raises(InputError) as caught:
        read(body, 1_000_000)
    assert type(caught.value) is kind
    assert caught.value.where == ""
    assert caught.value.what
    assert "\n" not in caught.value.line
    assert "0x" not in caught.value.line, "an object's address says nothing to a user"


@pytest.mark.parametrize(
    ("name", "word"),
    [("page.jpg", "web page"), ("text.jpg", "text"), ("moving.gif", "GIF"), ("phone.jpg", "AVIF"),
     ("paper.jpg", "PDF"), ("vector.eps", "PostScript"), ("drawing.svg", "SVG"), ("bomb.png", "20000 x 20000"),
     ("pages.tif", "several"), ("moving.png", "several"), ("empty.jpg", "empty")],
)  # fmt: skip
def test_refusals_name_what_the_file_is(name: str, word: str) -> None:
    """The error states what the file looks like."""
    with pytest.raises(InputError, match=word):
        read(BAD[name][0])


@pytest.mark.parametrize("head", [b"\0\0\0\x18ftypisom", b"RIFF\0\0\0\0AVI "])
def test_a_video_is_told_its_parameter(head: bytes) -> None:
    """The error for a video given as an image names the parameter for videos."""
    with pytest.raises(ImageFormatError, match=r"a video.*--videos"):
        read(head + bytes(64))


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_real_photograph_cut_anywhere_is_refused(photo_5mp: Path, share: float, progressive: bool) -> None:
    """A truncated photograph never gives pixels: half of it would be grey and its cover wrong."""
    body = photo_5mp.read_bytes()
    if progressive:
        with Image.open(io.BytesIO(body)) as image:
            body = encode(image.resize((640, 512)), "JPEG", progressive=True)
    with pytest.raises(ImageTruncatedError):
        read(truncated(body, share), 1_000_000)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_show_the_same_picture(kind: str, orientation: int) -> None:
    """For every orientation, pixels and sizes are upright, at full and at working size."""
    pixels = drawing(90, 130)
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    body = oriented(pixels, orientation, kind, **options)
    frame = read(body)
    assert frame.source_hw == (90, 130)
    np.testing.assert_allclose(frame.pixels.astype(int), pixels, atol=5 if kind == "JPEG" else 0)
    small, plain = read(body, 3000), read(png(pixels), 3000)
    assert small.source_hw == (90, 130)
    assert small.pixels.flags.c_contiguous
    np.testing.assert_allclose(small.pixels.astype(int), plain.pixels, atol=5 if kind == "JPEG" else 1)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_out_of_range_is_upright(value: int) -> None:
    """Orientation tags outside 1..8 are ignored."""
    exif = Image.Exif()
    exif[0x0112] = value
    np.testing.assert_array_equal(read(png(exif=exif)).pixels, drawing())


def test_sixteen_bits_are_cut_to_the_high_byte() -> None:
    """16-bit grey and colour give the high byte, as the original's reader (OpenCV) did."""
    pixels = drawing()
    grey = pixels[..., :1].repeat(3, axis=2)
    np.testing.assert_array_equal(read(GOOD["grey16.png"]).pixels, grey)
    np.testing.assert_array_equal(read(GOOD["grey16.tif"]).pixels, grey)
    np.testing.assert_array_equal(read(GOOD["colour16.png"]).pixels, pixels)


def test_alpha_is_ignored() -> None:
    """A transparent pixel keeps its stored colour."""
    pixels = drawing()
    alpha = np.dstack([pixels, np.zeros(pixels.shape[:2], np.uint8)])
    np.testing.assert_array_equal(read(encode(alpha, "PNG")).pixels, pixels)
    np.testing.assert_array_equal(read(GOOD["palette-alpha.png"]).pixels, read(GOOD["palette.png"]).pixels)
    grey = read(GOOD["grey-alpha.png"]).pixels
    np.testing.assert_array_equal(
        grey, np.asarray(Image.fromarray(pixels).convert("L"))[..., None].repeat(3, axis=2)
    )


def test_cmyk_is_near_the_rgb_it_was_made_of() -> None:
    """CMYK in JPEG (inverted, as by Adobe) and in TIFF is converted to the right colours."""
    for name in ("cmyk.jpg", "cmyk.tif"):
        difference = np.abs(read(GOOD[name]).pixels.astype(int) - drawing())
        assert difference.mean() < 3, name


def test_a_jpegs_trailing_bytes_and_profile_change_nothing() -> None:
    """Bytes after the end, colour profiles and further pictures of an MPO are ignored."""
    pixels = read(GOOD["baseline.jpg"]).pixels
    np.testing.assert_array_equal(read(GOOD["trailing.jpg"]).pixels, pixels)
    np.testing.assert_array_equal(read(GOOD["profile.jpg"]).pixels, pixels)
    np.testing.assert_array_equal(read(GOOD["broken-exif.jpg"]).pixels, pixels)
    first = encode(Image.fromarray(drawing()), "JPEG", quality=75)
    np.testing.assert_array_equal(read(GOOD["two-pictures.mpo"]).pixels, read(first).pixels)


def test_jpeg_pixels_are_pillows(photo_5mp: Path) -> None:
    """The fast decoder gives the same pixels as Pillow on a real photograph."""
    with Image.open(photo_5mp) as image:
        wanted = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read(photo_5mp.read_bytes()).pixels, wanted)


def test_a_photograph_is_shrunk_from_its_full_pixels(photo_5mp: Path) -> None:
    """At working size, the mean colour is that of the photograph, and `source_hw` is the original size."""
    body = photo_5mp.read_bytes()
    full, small = read(body), read(body, 1_000_000)
    assert small.source_hw == full.source_hw == (2048, 2560)
    assert small.pixels.shape == (894, 1118, 3)
    np.testing.assert_allclose(small.pixels.mean((0, 1)), full.pixels.mean((0, 1)), atol=0.2)


@pytest.mark.parametrize(
    ("limit", "hw"), [(1, (1, 1)), (100, (100, 1)), (20_000, (20_000, 1)), (10**12, (20_000, 1))]
)
def test_a_sliver_keeps_a_pixel_across(limit: int, hw: tuple[int, int]) -> None:
    """A picture of 1 x 20000 can be shrunk to any limit."""
    assert read(GOOD["1x20000.png"], limit).pixels.shape == (*hw, 3)


@pytest.mark.parametrize(("size", "accepted"), [((13_000, 13_000), True), ((13_400, 13_400), False)])
def test_the_pixel_limit_is_ours(size: tuple[int, int], accepted: bool) -> None:
    """Up to 178 MP, the header passes, even where Pillow warns; above, nothing is decoded."""
    assert (size[0] * size[1] <= MAX_SOURCE_PIXELS) == accepted
    with pytest.raises(ImageTruncatedError if accepted else ImageSizeError):
        read(pictures.bomb_png(*size))


def test_a_bomb_takes_no_memory() -> None:
    """Ten billion declared pixels are refused from the header."""
    tracemalloc.start()
    try:
        with pytest.raises(ImageSizeError):
            read(pictures.bomb_png(100_000, 100_000))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_camera_tags_are_kept_where_they_are_sane(photo_small: Path) -> None:
    """Time, make, model and position in decimal degrees are read; blanks and NULs are removed."""
    assert read(pictures.camera_jpeg()).exif == {
        "Make": "Quadrat Instruments",
        "Model": "Q-1",
        "DateTimeOriginal": "2023:07:12 09:15:30",
        "GPSLatitude": "-32.060000",
        "GPSLongitude": "115.500000",
    }
    assert read(photo_small.read_bytes()).exif.get("GPSLatitude", "none") == "none"
    assert read(pictures.broken_exif_jpeg()).exif == {}


@pytest.mark.parametrize(
    ("latitude", "longitude", "refs"),
    [
        ((99.0, 0.0, 0.0), (115.0, 0.0, 0.0), "SE"),
        ((32.0, 75.0, 0.0), (115.0, 0.0, 0.0), "SE"),
        ((32.0, 0.0, 0.0), (181.0, 0.0, 0.0), "SE"),
        ((32.0, 0.0, 0.0), (115.0, 0.0, 0.0), "XE"),
        ((32.0, 0.0), (115.0, 0.0, 0.0), "SE"),
        ((32.0, 60.0, 0.0), (115.0, 0.0, 0.0), "SE"),
    ],
)
def test_positions_that_cannot_be_are_left_out(
    latitude: tuple[float, ...], longitude: tuple[float, ...], refs: str
) -> None:
    """A latitude of 99, 75 minutes, a missing hemisphere or half a position counts as no position."""
    assert read(pictures.gps_jpeg(latitude, longitude, refs)).exif == {}


def test_a_zero_denominator_is_no_position() -> None:
    """EXIF writes 0/0 for an unknown degree."""
    body = pictures.gps_jpeg((32.0, 3.0, 36.0), (115.0, 30.0, 0.0))
    assert body.count(b"\0\0\0\x20\0\0\0\x01") == 1
    assert read(body.replace(b"\0\0\0\x20\0\0\0\x01", bytes(8))).exif == {}


def test_the_seconds_of_cameras() -> None:
    """Seconds rounded up to 60 count as a minute, and seconds of 0/0 as none, below a fraction of a minute or not."""
    position = {"GPSLatitude": "-32.066667", "GPSLongitude": "115.500000"}
    assert read(pictures.gps_jpeg((32.0, 3.0, 60.0), (115.0, 29.0, 60.0))).exif == position
    unknown = TiffImagePlugin.IFDRational(0, 0)
    assert read(pictures.gps_jpeg((32.0, 4.0, unknown), (115.0, 30.0, unknown))).exif == position
    assert read(pictures.gps_jpeg((32.0, 3.5, unknown), (115.5, unknown, unknown))).exif == {
        "GPSLatitude": "-32.058333", "GPSLongitude": "115.500000",
    }  # fmt: skip
    assert read(pictures.gps_jpeg((32.0, unknown, unknown), (115.0, 30.0, 0.0))).exif == {}
    assert read(pictures.gps_jpeg((32.0, 3.0, 60.5), (115.0, 30.0, 0.0))).exif == {}


@pytest.mark.parametrize("name", ["jpeg2000", "jpegxl", "lerc", "png", "webp"])
def test_a_packing_that_is_lacking_is_named(shared: Path, name: str) -> None:
    """A TIFF of an unknown compression is not called damaged, and the error says what to do."""
    word = {"jpeg2000": "JPEG 2000", "jpegxl": "JPEG XL", "lerc": "LERC", "png": "PNG", "webp": "WebP"}[name]
    with pytest.raises(ImageFormatError, match=f"packed with {word},.*COMPRESS=DEFLATE"):
        read((shared.parent / "cases" / "files" / f"03-{name}.tif").read_bytes())


def test_damage_in_a_small_tiff_of_jpegs_is_found(photo_5mp: Path) -> None:
    """Libtiff fills damaged JPEG data with grey; here damage is found as often as in a JPEG file of the picture."""
    with Image.open(photo_5mp) as image:
        small = image.convert("RGB").resize((640, 512))
    found = {}
    for kind, options in (("TIFF", {"compression": "jpeg"}), ("JPEG", {})):
        body, generator = encode(small, kind, quality=90, **options), np.random.default_rng(5)
        found[kind] = 0
        for _ in range(60):
            damaged = bytearray(body)
            for place in generator.integers(len(body) // 10, len(body) * 9 // 10, 3):
                damaged[place] ^= 1 << int(place) % 8
            with suppress(ImageTruncatedError):
                read(bytes(damaged))
                found[kind] += 1
    assert found["TIFF"] <= found["JPEG"] + 12


@pytest.mark.parametrize("kind", ["RGB", "L"])
def test_a_small_tiff_of_jpegs_has_the_pixels_of_libtiff(kind: str, photo_5mp: Path) -> None:
    """Decoded piece by piece, a picture is the same as in Pillow."""
    with Image.open(photo_5mp) as image:
        small = image.convert(kind).resize((640, 511))
    body = encode(small, "TIFF", compression="jpeg", quality=90)
    with Image.open(io.BytesIO(body)) as image:
        np.testing.assert_array_equal(read(body).pixels, np.asarray(image.convert("RGB")))


def test_a_huge_tag_is_refused_unread(tmp_path: Path) -> None:
    """A tag that states a gigabyte is refused by its number, before Pillow reads it."""
    body = bytearray(encode(drawing(), "TIFF", description="x" * 50))
    at = body.index(struct.pack("<HHL", 270, 2, 51))
    struct.pack_into("<L", body, at + 4, 1_000_000_000)
    with pytest.raises(ImageFormatError, match=r"tag 270 has 1\.0 GB"):
        read(bytes(body))


@pytest.mark.parametrize(
    "name", ["colour.png", "baseline.jpg", "camera.jpg", "packed.tiff", "colour.webp", "colour.bmp"]
)
def test_any_flipped_bit_gives_an_error_of_ours_or_a_picture(name: str) -> None:
    """Damage anywhere in a file raises only InputErrors, without warnings."""
    body, generator = GOOD[name], np.random.default_rng(3)
    for place, bit in zip(generator.integers(0, len(body), 150), generator.integers(0, 8, 150), strict=True):
        damaged = bytearray(body)
        damaged[place] ^= 1 << bit
        with suppress(InputError):
            assert read(bytes(damaged), 1_000_000).pixels.ndim == 3


@given(st.sampled_from(sorted(GOOD)), st.integers(0, 60), st.binary(max_size=80))
def test_noise_behind_any_header_is_refused_in_our_words(name: str, kept: int, noise: bytes) -> None:
    """A header followed by noise gives a picture or an InputError."""
    with suppress(InputError):
        assert read(GOOD[name][:kept] + noise, 1_000_000).pixels.ndim == 3


@pytest.mark.parametrize("name", ["colour.png", "grey16.png", "palette.png", "cmyk.tif"])
def test_strips_join_without_a_seam(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversion in strips of one row gives the same pixels as conversion in one step."""
    whole = read(GOOD[name]).pixels
    monkeypatch.setattr(images, "_STRIP_PIXELS", 1)
    np.testing.assert_array_equal(read(GOOD[name]).pixels, whole)


def test_threads_do_not_disturb_each_other() -> None:
    """Eight threads give the same frames and errors as one, without warnings."""
    names = [*GOOD, *BAD] * 3

    def outcome(name: str) -> str:
        body = GOOD[name] if name in GOOD else BAD[name][0]
        try:
            return hashlib.sha256(read(body, 2000).pixels.tobytes()).hexdigest()
        except InputError as error:
            return error.line

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outcome, names)) == [outcome(name) for name in names]


def test_previews_and_raw_files_are_refused() -> None:
    """The first picture of a raw file is a thumbnail, which must not be measured."""
    image = Image.fromarray(drawing())
    for tag, value in ((254, 1), (50706, b"\x01\x04\0\0")):
        with pytest.raises(ImageFormatError, match="raw"):
            read(encode(image, "TIFF", tiffinfo={tag: value}))


def test_a_jpeg_that_turbo_cannot_name_goes_through_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """If libjpeg-turbo cannot read the header, Pillow decodes the same pixels."""

    def give_up(_body: bytes) -> tuple[int, int, str, str]:
        raise ValueError("Could not determine subsampling level of JPEG image")

    wanted = read(jpeg()).pixels
    monkeypatch.setattr(images.simplejpeg, "decode_jpeg_header", give_up)
    np.testing.assert_array_equal(read(jpeg()).pixels, wanted)


@pytest.mark.parametrize("limit", [-1, 500])
@pytest.mark.parametrize("grey", [False, True])
def test_an_array_is_the_frame_that_its_file_would_be(grey: bool, limit: int) -> None:
    """A picture in memory has the pixels and sizes of the same picture in a BMP file; its digest is its own."""
    picture = np.random.default_rng(3).integers(0, 256, (40, 30) if grey else (40, 30, 3), np.uint8)
    body = io.BytesIO()
    Image.fromarray(picture).save(body, "BMP")
    one = images.decode(Blob(picture), FrameKey("urn:test:1"), limit)
    other = images.decode(Blob(body.getvalue()), FrameKey("urn:test:1"), limit)
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert (one.source_hw, one.exif, one.digest) == (other.source_hw, other.exif, Blob(picture).digest)


def test_an_array_may_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of files holds for pictures in memory, too."""
    monkeypatch.setattr(images, "MAX_SOURCE_PIXELS", 10)
    with pytest.raises(ImageSizeError, match="4 x 3 pixels exceed"):
        images.decode(Blob(np.zeros((3, 4, 3), np.uint8)), FrameKey("urn:test:1"), -1)
