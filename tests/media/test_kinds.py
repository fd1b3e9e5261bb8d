"""File types are identified by first bytes."""

from __future__ import annotations

import pytest

from quadrat.formats import IMAGE_FORMATS
from quadrat.media.kinds import looks_like
from tests.pictures import good_pictures


@pytest.mark.parametrize(("name", "body"), good_pictures().items(), ids=lambda value: str(value)[:20])
def test_pictures_look_like_what_they_are(name: str, body: bytes) -> None:
    """Every valid picture is identified by its first bytes."""
    assert looks_like(body) in IMAGE_FORMATS


@pytest.mark.parametrize("body", [b"", b"\xff", b"\x89PNG", b"RIFF", b"\0" * 64, bytes(range(256))])
def test_other_bytes_look_like_no_picture(body: bytes) -> None:
    """Other headers and noise are described in words, and never taken for a picture."""
    assert looks_like(body) not in IMAGE_FORMATS
