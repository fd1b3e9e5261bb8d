"""Enhanced pictures are written whatever the metadata of their files contains."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from quadrat.render.enhanced import draw_enhanced
from quadrat.types import Frame, FrameKey, Original
from tests import pictures


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("tags", [{270: object()}, {34665: {36867: object()}}, {33550: ("a", None)}])
def test_metadata_that_cannot_be_written_is_lost(
    tags: dict[int, Any], large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture has its pixels and its format, and says that it lacks metadata."""
    if large:
        monkeypatch.setattr("quadrat.media.scratch.LARGE_PIXELS", 100)
    pixels = pictures.drawing(30, 40)
    frame = Frame(FrameKey("urn:a"), (30, 40), pixels, original=Original("TIFF", 16, tags=tags))
    for made in draw_enhanced(frame, pixels):
        body = made.body if isinstance(made.body, bytes) else made.body.read_bytes()
        assert isinstance(made.body, bytes) is not large
        assert (made.suffix, made.lost) == (".tif", ("metadata", "8 of 16 bits"))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(body))), pixels)


def test_a_file_is_deleted_after_its_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large picture is a file until the next is requested."""
    monkeypatch.setattr("quadrat.media.scratch.LARGE_PIXELS", 100)
    pixels = pictures.drawing(30, 40)
    frame = Frame(FrameKey("urn:a"), (30, 40), pixels, original=Original("JPEG"))
    drawn = draw_enhanced(frame, pixels)
    path = next(drawn).body
    assert not isinstance(path, bytes)
    assert path.is_file()
    assert list(drawn) == []
    assert not path.exists()
