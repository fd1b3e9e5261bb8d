"""Facts of pictures, and the flags that they give."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from quadrat.media import images
from quadrat.media.exif import upright
from quadrat.media.facts import DUPLICATE_BITS, SMALL_PIXELS, flags_of, picture_facts
from quadrat.types import Blob, FrameKey, ImageU8
from tests import pictures

ROOT = Path(__file__).parents[3] / "shared" / "data"
PHOTOGRAPHS = (
    "photos/576.JPG", "photos/quadrant.jpg", "pictures/astronaut.png", "pictures/chelsea.png", "pictures/dog.jpg",
    "pictures/home.jpg", "pictures/leuvenA.jpg", "pictures/motorcycle_left.png", "pictures/page.png",
    "pictures/text.png", "pictures/uf_1.jpg",
)  # fmt: skip


def pixels_of(name: str) -> ImageU8:
    """Read a shared photograph."""
    return images.decode(Blob(ROOT / name), FrameKey("urn:p"), -1).pixels


def flags(pixels: ImageU8) -> tuple[str, ...]:
    """Give the flags of a picture."""
    return flags_of(picture_facts(pixels), (pixels.shape[0], pixels.shape[1]))


def bits(one: str, other: str) -> int:
    """Count the bits in which two hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def small(pixels: ImageU8, side: int) -> ImageU8:
    """Shrink a picture to this long side."""
    scale = side / max(pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def compressed(pixels: ImageU8, quality: int) -> ImageU8:
    """Save a picture as a JPEG and read it back."""
    return np.asarray(Image.open(io.BytesIO(pictures.encode(pixels, "JPEG", quality=quality))))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_has_the_flags_of_its_faults_and_no_others(name: str) -> None:
    """As it is none; darkened `dark`, out of focus `blurred`, a thumbnail `small`; and copies have almost its hash."""
    pixels = pixels_of(name)
    assert flags(pixels) == ()
    for factor in (0.2, 0.1):
        assert "dark" in flags((pixels * factor).astype(np.uint8))
    for share in (150, 75):
        blurred = cv2.GaussianBlur(pixels, (0, 0), max(pixels.shape[:2]) / share)
        assert flags(np.asarray(blurred, np.uint8)) == ("blurred",)
    assert flags(small(pixels, 200)) == ("small",)
    assert "flat" in flags((120 + pixels * 0.03).astype(np.uint8))

    original = picture_facts(pixels).hash
    for copy in (
        compressed(pixels, 40), small(pixels, max(pixels.shape[:2]) // 2), (pixels * 0.85).astype(np.uint8),
    ):  # fmt: skip
        assert bits(original, picture_facts(copy).hash) <= DUPLICATE_BITS


def test_different_photographs_have_different_hashes() -> None:
    """By far more bits than copies differ in."""
    hashes = [picture_facts(pixels_of(name)).hash for name in PHOTOGRAPHS]
    assert min(bits(a, b) for place, a in enumerate(hashes) for b in hashes[:place]) > 5 * DUPLICATE_BITS


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_of_one_colour_is_flat_and_has_no_sharpness(value: int) -> None:
    """A black photograph must not pass: its model may be sure of seagrass."""
    facts = picture_facts(np.full((300, 400, 3), value, np.uint8))
    assert (facts.contrast, facts.sharpness, facts.clipped) == (0, 0, float(value != 128))
    assert flags_of(facts, (300, 400)) == (("dark", "flat") if value == 0 else ("flat",))


def test_the_facts_are_those_that_the_reference_states() -> None:
    """Half black, half white: mean and deviation one half, all clipped; a checkerboard is as sharp as can be."""
    half = np.zeros((256, 256, 3), np.uint8)
    half[:, 128:] = 255
    facts = picture_facts(half)
    assert (facts.brightness, facts.contrast, facts.clipped) == (0.5, 0.5, 1.0)
    board = np.indices((256, 256)).sum(axis=0) % 2 * 200 + 20
    sharp = picture_facts(np.repeat(board[..., None], 3, axis=2).astype(np.uint8))
    # The Laplacian of a checkerboard is 8 times its deviation everywhere (reflected at the border).
    assert sharp.sharpness == pytest.approx(64, rel=0.01)
    assert (sharp.clipped, len(bytes.fromhex(sharp.hash))) == (0, 32)


def test_small_is_a_matter_of_the_stored_size() -> None:
    """The limit itself is not small."""
    facts = picture_facts(pictures.drawing(256, 256))
    assert SMALL_PIXELS == 256 * 256
    assert ("small" in flags_of(facts, (256, 256)), "small" in flags_of(facts, (255, 256))) == (False, True)
    assert flags_of(None, (1, 1)) == ()


@pytest.mark.parametrize("limit", [-1, 50_000, 1000])
def test_facts_do_not_depend_on_the_working_size(limit: int) -> None:
    """They describe the picture as it is stored."""
    body = pictures.jpeg(pictures.drawing(700, 900))
    whole = images.decode(Blob(body), FrameKey("urn:p"), -1)
    assert (
        images.decode(Blob(body), FrameKey("urn:p"), limit).facts
        == whole.facts
        == picture_facts(whole.pixels)
    )


@pytest.mark.parametrize("turn", range(1, 9))
def test_facts_are_of_the_upright_picture(turn: int) -> None:
    """A camera that stores the picture turned gives the same facts, its hash included."""
    drawn = pictures.drawing(300, 400, seed=3)
    exif = Image.Exif()
    exif[0x0112] = turn
    inverse = {6: 8, 8: 6}.get(turn, turn)
    stored = upright(drawn, inverse)
    body = pictures.encode(stored, "PNG", exif=exif)
    assert np.array_equal(np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(body)))), drawn)
    assert images.decode(Blob(body), FrameKey("urn:p"), -1).facts == picture_facts(drawn)


def test_an_array_has_facts_and_a_frame_of_a_sequence_needs_none() -> None:
    """Grey and colour arrays are measured like files."""
    grey = pictures.drawing()[..., 0]
    frame = images.decode(Blob(grey), FrameKey("urn:p"), -1)
    assert frame.facts == picture_facts(np.repeat(grey[..., None], 3, axis=2))
    assert images.decode(Blob(pictures.jpeg()), FrameKey("urn:p"), -1, with_facts=False).facts is None
