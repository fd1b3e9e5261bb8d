"""JPEGs whose pixels are whole are read, whatever surrounds them; no damage passes for it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from quadrat.errors import ImageFormatError, ImageSizeError, ImageTruncatedError, InputError
from quadrat.media import images, jpeg
from quadrat.media.images import decode
from quadrat.types import Blob, FrameKey
from tests import pictures

FORMS = {
    "baseline": {"quality": 90},
    "optimized": {"quality": 70, "optimize": True},
    "progressive": {"quality": 85, "progressive": True},
    "full chroma": {"quality": 95, "subsampling": 0},
}
KEY = FrameKey("urn:test:1")


def photograph(photo: Path, form: str) -> bytes:
    """Write a real photograph at 320 x 256 in one of the forms."""
    with Image.open(photo) as image:
        return pictures.encode(image.convert("RGB").resize((320, 256)), "JPEG", **FORMS[form])


def padded(body: bytes, count: int) -> bytes:
    """Put zeros between the last scan and the end marker."""
    return body[:-2] + bytes(count) + body[-2:]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 36, 2000, 100_000])
@pytest.mark.parametrize("form", FORMS)
def test_zeros_before_the_end_change_nothing(photo_5mp: Path, form: str, count: int) -> None:
    """A picture with bytes before its end marker has the pixels that it has without them."""
    body = photograph(photo_5mp, form)
    found, wanted = (decode(Blob(each), KEY, None).pixels for each in (padded(body, count), body))
    np.testing.assert_array_equal(found, wanted)


def test_a_scan_header_of_a_phone_changes_nothing(photo_5mp: Path) -> None:
    """A sequential scan with zeros for the spectrum, as Samsung's phones write it, has the same pixels."""
    body = photograph(photo_5mp, "baseline")
    (at,) = jpeg.read_layout(body).scans
    last = at + 2 + struct.unpack_from(">H", body, at + 2)[0]
    found = decode(Blob(body[: last - 3] + bytes(3) + body[last:]), KEY, None).pixels
    np.testing.assert_array_equal(found, decode(Blob(body), KEY, None).pixels)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(20))
def test_padding_hides_no_damage(photo_5mp: Path, form: str, seed: int) -> None:
    """A picture that is refused for damage in its scans is refused with zeros before its end, too."""
    body, random = photograph(photo_5mp, form), np.random.default_rng(seed)
    begin = jpeg.read_layout(body).scans[0] + 20
    damaged = bytearray(body)
    for at in random.integers(begin, len(body) - 2, 3):
        damaged[at] = int(random.integers(255))
    try:
        simplejpeg.decode_jpeg(bytes(damaged), strict=True)
    except ValueError:
        with pytest.raises(ImageTruncatedError):
            decode(Blob(padded(bytes(damaged), 40)), KEY, None)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lost", [50, 500, 3000])
def test_a_tail_of_zeros_is_damage(photo_5mp: Path, form: str, lost: int) -> None:
    """A picture whose last bytes were overwritten with zeros, and more, is refused."""
    body = photograph(photo_5mp, form)
    with pytest.raises(ImageTruncatedError):
        decode(Blob(body[: -2 - lost] + bytes(lost + 700) + body[-2:]), KEY, None)


@given(st.binary(max_size=60), st.integers(0, 700))
def test_any_bytes_can_be_walked(noise: bytes, kept: int) -> None:
    """Whatever follows a beginning, the layout is found or left out, and so is what can be mended."""
    body = pictures.jpeg()[:kept] + noise
    for whole in (False, True):
        layout = jpeg.read_layout(body, whole=whole)
        assert layout.end < len(body)
        assert all(0 <= at < len(body) for at in layout.scans)
    jpeg.mend(body, lambda each: np.frombuffer(each, np.uint8))


def scans(count: int, side: int) -> bytes:
    """Write a progressive picture that repeats its last scan."""
    body = pictures.encode(Image.new("RGB", (side, side), (90, 120, 60)), "JPEG", progressive=True)
    layout = jpeg.read_layout(body, whole=True)
    last = body[layout.scans[-1] : layout.end]
    return body[: layout.end] + last * (count - len(layout.scans)) + body[layout.end :]


def test_thousands_of_scans_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work for a picture is bounded by its pixels times its scans."""
    decoded: list[int] = []
    monkeypatch.setattr(images.simplejpeg, "decode_jpeg", lambda *_, **__: decoded.append(1))
    with pytest.raises(ImageFormatError, match="2647 scans"):
        decode(Blob(scans(2647, 1000)), KEY, None)
    assert decoded == []
    jpeg.check(scans(40, 1000))
    with pytest.raises(ImageFormatError):
        jpeg.check(scans(40, 6000))


@pytest.mark.parametrize(
    ("marker", "name"), [(0xF7, "JPEG-LS"), (0xC3, "lossless JPEG"), (0xC5, "hierarchical")]
)
def test_variants_are_called_by_name(marker: int, name: str) -> None:
    """A variant that no decoder here knows is refused by its name, and is not called damaged."""
    body = pictures.jpeg()
    at = body.index(b"\xff\xc0")
    with pytest.raises(ImageFormatError, match=name):
        decode(Blob(body[: at + 1] + bytes([marker]) + body[at + 2 :]), KEY, None)


def test_a_real_jpeg_ls(shared: Path) -> None:
    """A file of another program."""
    with pytest.raises(ImageFormatError, match="JPEG-LS"):
        decode(Blob(shared.parent / "cases" / "files" / "jpeg-ls.jpg"), KEY, None)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_a_padded_file_is_refused_unread(tmp_path: Path, kind: str) -> None:
    """A file with gigabytes behind its picture is refused by its size; nothing of them is read."""
    path = tmp_path / "p"
    path.write_bytes(pictures.encode(pictures.drawing(), kind))
    with path.open("r+b") as file:
        file.truncate(4_000_000_000)  # sparse
    before = peak()
    with pytest.raises(ImageSizeError, match=r"4\.00 GB"):
        decode(Blob(path), KEY, None)
    assert peak() - before < 100_000


def peak() -> int:
    """Return the most memory that this process had, in kilobytes."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def test_a_picture_with_a_film_behind_it_is_read(tmp_path: Path) -> None:
    """A phone's moving picture has megabytes of video behind its end."""
    path = tmp_path / "p.jpg"
    path.write_bytes(pictures.jpeg() + bytes(8_000_000))
    assert decode(Blob(path), KEY, None).source_hw == (60, 80)


def test_a_path_and_its_bytes_are_one_picture(tmp_path: Path) -> None:
    """Every good and bad picture gives the same, read from its file or from memory."""
    for name, body in pictures.good_pictures().items():
        path = tmp_path / name
        path.write_bytes(body)
        one, other = (decode(each, KEY, None) for each in (Blob(body), Blob(path)))
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert (one.digest, one.exif, one.source_hw) == (other.digest, other.exif, other.source_hw)
    for name, (body, _) in pictures.bad_pictures().items():
        path = tmp_path / name
        path.write_bytes(body)
        lines = []
        for each in (Blob(body), Blob(path)):
            with pytest.raises(InputError) as caught:
                decode(each, KEY, None)
            lines.append(caught.value.line)
        assert lines[0] == lines[1], name
