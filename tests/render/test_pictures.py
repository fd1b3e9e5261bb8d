"""Pictures of a segmented image; those of a mosaic use files and a smaller copy."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quadrat.media import scratch
from quadrat.predictions import Segmentation
from quadrat.render import pictures
from quadrat.render.pictures import Picture, draw_pictures
from quadrat.types import Cover, Frame, FrameKey
from tests.pictures import drawing

KINDS = ("pseudo", "labels", "confidence", "overlay")
COVERS = [Cover(i, f"urn:{i}", f"c{i}", (90 * i, 20, 255 - 90 * i), 0, 0.5) for i in range(3)]


def drawn(height: int = 60, width: int = 80) -> list[tuple[Picture, np.ndarray]]:
    """Draw all pictures of a random image, and read each before the next is requested."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, (height, width)).astype(np.uint8)
    confidence = generator.random((height, width)).astype(np.float16)
    frame = Frame(FrameKey("urn:x"), (height, width), drawing(height, width))
    found = []
    for picture in draw_pictures(frame, Segmentation(labels, confidence), COVERS, KINDS):
        body = picture.body.read_bytes() if isinstance(picture.body, Path) else picture.body
        with Image.open(io.BytesIO(body)) as image:
            found.append((picture, np.asarray(image.convert("RGB"))))
    return found


def test_a_mosaics_pictures_are_those_of_a_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planes become files with the same pixels; each file is deleted when the next picture is requested."""
    small = drawn()
    monkeypatch.setattr(scratch, "LARGE_PIXELS", 1000)
    for (kept, kept_pixels), (made, made_pixels) in zip(small, drawn(), strict=True):
        assert (kept.kind, kept.suffix, kept.mime) == (made.kind, made.suffix, made.mime)
        np.testing.assert_array_equal(kept_pixels, made_pixels)
        assert isinstance(kept.body, bytes)
        assert isinstance(made.body, Path) == (made.kind != "overlay")
        assert not isinstance(made.body, Path) or not made.body.parent.exists()


def test_closing_early_deletes_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the generator early deletes the current file."""
    monkeypatch.setattr(scratch, "LARGE_PIXELS", 1)
    frame = Frame(FrameKey("urn:x"), (60, 80), drawing())
    made = draw_pictures(frame, Segmentation(np.zeros((60, 80), np.uint8)), COVERS, KINDS)
    path = next(made).body
    assert isinstance(path, Path)
    assert path.exists()
    made.close()  # type: ignore[attr-defined]  # it is a generator
    assert not path.parent.exists()


@pytest.mark.parametrize(("pixels", "side", "size"), [(1200, 60_000, (40, 30)), (10**9, 40, (40, 30))])
def test_an_overlay_of_a_mosaic_is_small(
    pixels: int, side: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays within the limits of pixels and sides, and shows the whole picture."""
    monkeypatch.setattr(scratch, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(pictures, "OVERLAY_PIXELS", pixels)
    monkeypatch.setattr(pictures, "OVERLAY_SIDE", side)
    (_, overlay), *_ = [one for one in drawn() if one[0].kind == "overlay"]
    assert overlay.shape[1] == size[0]
    assert overlay.shape[0] > size[1]


def test_the_overlay_of_a_photograph_is_not_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of pixels applies to mosaics only."""
    monkeypatch.setattr(pictures, "OVERLAY_PIXELS", 100)
    (_, overlay), *_ = [one for one in drawn() if one[0].kind == "overlay"]
    assert overlay.shape[1] == 80
