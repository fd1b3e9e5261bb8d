"""What enhanced pictures keep of their files: EXIF, colour profile, alpha and tags, for pixels that are upright."""

from __future__ import annotations

import io
import random
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from quadrat.media.alike import alike
from quadrat.media.images import decode
from quadrat.media.original import exif_for
from quadrat.types import Blob, Frame, FrameKey, Original
from tests import pictures
from tests.media.test_png import chunk

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
KEPT = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif"}
EXIF, GPS, MAKER_NOTE = 34665, 34853, 37500


def tags(turn: int = 6) -> Image.Exif:
    """Give EXIF as a camera writes it: make, orientation, time, size, maker's note and position."""
    made = Image.Exif()
    made[271], made[274] = "Reefcam", turn
    made.get_ifd(EXIF).update(
        {36867: "2024:01:02 03:04:05", 0xA002: 80, 0xA003: 60, MAKER_NOTE: b"\0\1secret\2"}
    )
    made.get_ifd(GPS).update({1: "S", 2: (10.0, 20.0, 30.0), 3: "E", 4: (1.0, 2.0, 3.0)})
    return made


def stored(kind: str, image: Image.Image, **more: Any) -> bytes:
    """Encode a picture with EXIF and a profile, without loss if the format can."""
    exif = tags(more.pop("turn", 6))
    if kind == "TIFF":
        exif[EXIF], exif[GPS] = exif.get_ifd(EXIF), exif.get_ifd(GPS)
    options = {"tiffinfo" if kind == "TIFF" else "exif": exif, "icc_profile": PROFILE, **more}
    options |= {"WEBP": {"lossless": True}, "JPEG": {"quality": 97}}.get(kind, {})
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def read(body: bytes) -> Frame:
    """Decode a picture as an order with task=enhance does."""
    return decode(Blob(body), FrameKey("urn:a"), None, with_original=True)


def again(body: bytes) -> tuple[Frame, Image.Image, str]:
    """Decode a picture and write it as it was stored."""
    frame = read(body)
    made = alike(frame.pixels, frame.original, frame.source_hw)
    return frame, Image.open(io.BytesIO(made.body())), made.suffix


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", KEPT)
def test_a_picture_is_stored_as_it_was(kind: str, turn: int) -> None:
    """Upright once, with its EXIF and profile, in its format, and without loss if the format allows it."""
    body = stored(kind, Image.fromarray(pictures.drawing(60, 80)), turn=turn)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(body))).convert("RGB")).astype(int)
    _, made, suffix = again(body)

    assert (made.format, suffix, made.info["icc_profile"]) == (kind, KEPT[kind], PROFILE)
    turned = np.asarray(ImageOps.exif_transpose(made)).astype(int)
    assert turned.shape == shown.shape
    assert np.abs(turned - shown).max() <= (12 if kind == "JPEG" else 0)
    found = made.getexif()
    assert (found.get(271), found.get(274, 1)) == ("Reefcam", 1)
    detail, position = found.get_ifd(EXIF), found.get_ifd(GPS)
    assert detail[36867] == "2024:01:02 03:04:05"
    assert detail[MAKER_NOTE] == b"\0\1secret\2"
    assert (detail[0xA002], detail[0xA003]) == made.size
    assert position[2] == (10.0, 20.0, 30.0)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_kept(kind: str) -> None:
    """Turned as the picture is; an opaque one is left out."""
    image = Image.fromarray(pictures.drawing(60, 80)).convert("RGBA")
    plane = np.zeros((60, 80), np.uint8)
    plane[:, :30] = 200
    image.putalpha(Image.fromarray(plane))
    body = stored(kind, image)
    frame, made, _ = again(body)

    assert made.mode == "RGBA"
    assert np.array_equal(np.asarray(made.getchannel("A")), np.rot90(plane, -1))
    assert np.array_equal(np.asarray(made)[..., :3], frame.pixels)
    image.putalpha(255)
    assert again(stored(kind, image))[1].mode == "RGB"


def test_palettes_with_transparency_are_kept_as_rgba() -> None:
    """Their alpha is that of the colours."""
    image = Image.fromarray(pictures.drawing(60, 80)).quantize(8)
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=3)
    _, made, _ = again(stream.getvalue())

    assert made.mode == "RGBA"
    assert np.array_equal(np.asarray(made.getchannel("A")) == 0, np.asarray(image) == 3)


def test_what_cannot_be_kept_is_named() -> None:
    """Half of the bits of a 16-bit picture, EXIF that is too long for a JPEG, tags of a TIFF in another format."""
    frame = read(pictures.rgb16_png(pictures.drawing(40, 50)))
    assert alike(frame.pixels, frame.original, frame.source_hw).lost == ("8 of 16 bits",)
    long = Original(
        "JPEG", exif=stored("JPEG", Image.new("RGB", (4, 4)))[:0] + tags().tobytes() + bytes(70_000)
    )
    assert alike(frame.pixels, long, frame.source_hw).lost == ("EXIF",)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("quadrat.media.alike.MAX_SOURCE_PIXELS", 1000)
        made = alike(frame.pixels, Original("TIFF", tags={271: "x"}, exif=tags().tobytes()), frame.source_hw)
    assert (made.suffix, made.lost) == (".png", ("tags",))


def test_a_mosaic_is_written_row_by_row_with_its_profile(tmp_path) -> None:
    """As a PNG with the same pixels, whatever its format was."""
    pixels = pictures.drawing(90, 70)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("quadrat.media.alike.MAX_SOURCE_PIXELS", 1000)
        patch.setattr("quadrat.media.encode._BLOCK_PIXELS", 700)
        made = alike(pixels, Original("TIFF", profile=PROFILE, exif=tags().tobytes()), (90, 70))
    assert made.on_disk
    made.write(tmp_path / "m.png")
    image = Image.open(tmp_path / "m.png")
    assert np.array_equal(np.asarray(image), pixels)
    assert image.info["icc_profile"] == PROFILE
    assert image.getexif()[271] == "Reefcam"


@pytest.mark.parametrize(
    ("kind", "hw"), [("WEBP", (4, 16_400)), ("JPEG", (65_600, 1)), ("HEIC", (4, 4)), ("BMP", (4, 4))]
)
def test_other_formats_and_sizes_become_png(kind: str, hw: tuple[int, int]) -> None:
    """Which has no loss and hardly a limit."""
    assert alike(np.zeros((*hw, 3), np.uint8), Original(kind), hw).suffix == ".png"
    assert alike(np.zeros((4, 4, 3), np.uint8), None, (4, 4)).suffix == ".png"


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_profile_of_other_colours_is_dropped(mode: str) -> None:
    """The result is RGB, and a viewer would show wrong colours."""
    stream = io.BytesIO()
    other = PROFILE[:16] + {"L": b"GRAY", "CMYK": b"CMYK"}[mode] + PROFILE[20:]
    Image.fromarray(pictures.drawing(60, 80)).convert(mode).save(stream, "JPEG", icc_profile=other)

    assert "icc_profile" not in again(stream.getvalue())[1].info


def test_tags_of_a_map_stay_only_with_its_pixels() -> None:
    """A picture of another size would lie in the wrong place."""
    geo = {33550: (0.1, 0.1, 0.0), 33922: (0.0, 0.0, 0.0, 5.0, 6.0, 0.0)}
    image, stream = Image.fromarray(pictures.drawing(60, 80)), io.BytesIO()
    info = Image.Exif()
    for tag, value in geo.items():
        info[tag] = value
    image.save(stream, "TIFF", tiffinfo=info)
    frame, same, _ = again(stream.getvalue())
    larger = alike(np.repeat(frame.pixels, 2, axis=0), frame.original, frame.source_hw)

    assert larger.lost == ("place on the map",)
    assert alike(frame.pixels, frame.original, frame.source_hw).lost == ()
    info[274] = 3
    image.save(turned := io.BytesIO(), "TIFF", tiffinfo=info)
    frame, upright, _ = again(turned.getvalue())
    assert not set(geo) & set(upright.tag_v2)  # type: ignore[attr-defined]
    assert alike(frame.pixels, frame.original, frame.source_hw).lost == ("place on the map",)
    assert {tag: same.tag_v2[tag] for tag in geo} == geo  # type: ignore[attr-defined]
    assert not set(geo) & set(Image.open(io.BytesIO(larger.body())).tag_v2)  # type: ignore[attr-defined]


def test_damaged_exif_is_dropped() -> None:
    """At any byte and any length, nothing is raised and no byte is added."""
    whole, random_ = tags().tobytes(), random.Random(3)
    for _ in range(300):
        cut = bytearray(whole[: random_.randrange(len(whole))])
        for _ in range(3):
            if cut:
                cut[random_.randrange(len(cut))] = random_.randrange(256)
        assert len(exif_for(bytes(cut), (5, 6))) in (0, len(cut), len(cut) + 6)
    assert exif_for(b"", (5, 6)) == b""


def test_nothing_is_kept_unless_it_is_wanted() -> None:
    """Measuring needs none of it."""
    body = stored("JPEG", Image.fromarray(pictures.drawing(60, 80)))
    assert decode(Blob(body), FrameKey("urn:a"), None).original is None
    assert read(body).original is not None


def test_a_transparent_colour_of_16_bits_is_named_as_lost() -> None:
    """It cannot be found again among 8-bit values."""
    body = pictures.rgb16_png(pictures.drawing(40, 50))
    head = 8 + 25  # the signature and IHDR
    keyed = body[:head] + chunk(b"tRNS", b"\0\5" * 3) + body[head:]
    frame = read(keyed)
    assert alike(frame.pixels, frame.original, frame.source_hw).lost == ("alpha", "8 of 16 bits")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "form"), [(1, "B3x"), (3, "H2x"), (4, "I"), (6, "b3x"), (8, "h2x"), (9, "i")]
)
def test_an_orientation_of_any_type_becomes_upright(order, kind, form):
    """Readers take it from any whole number: a picture that is upright must not be turned again."""
    entry = struct.pack(f"{order}HHI{form}", 0x0112, kind, 1, 6)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    exif = mark + struct.pack(f"{order}IH", 8, 1) + entry + struct.pack(f"{order}I", 0)

    stream = io.BytesIO()
    Image.new("RGB", (20, 10)).save(stream, "JPEG", exif=exif_for(exif, (10, 20)))
    assert Image.open(io.BytesIO(stream.getvalue())).getexif()[274] == 1
