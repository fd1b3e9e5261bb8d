"""What a file is by its name and first bytes."""

from __future__ import annotations

import re

import pytest

from quadrat.media.images import skip_reason
from quadrat.media.kinds import READ, looks_like
from tests.pictures import good_pictures


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "A.JPG", "site 1/b.jpeg", "-c.png", "=cmd().tif", "🐟.webp", "x.JPG.png", "no-suffix", "d.bmp",
     "phone.heic", "raw.DNG", "moving.gif", "a" * 250 + ".jpg", "urn:ivcap:artifact:1.2", "http://host/1/data.bin"],
)  # fmt: skip
def test_these_names_are_tried(name: str) -> None:
    """Every picture suffix, also of formats we refuse by name, no suffix at all, and URNs."""
    assert skip_reason(name) is None


@pytest.mark.parametrize(
    ("name", "word"),
    [(".DS_Store", "hidden"), ("site/._a.jpg", "hidden"), (".hidden.png", "hidden"),
     (".ivcap-artifact.txt", "marker"), ("site/.ivcap-1.txt", "marker"),
     ("notes.txt", r"\.txt"), ("a.jpg.xml", r"\.xml"), ("table.CSV", r"\.csv"), ("x.mp4", r"\.mp4")],
)  # fmt: skip
def test_these_names_are_skipped_with_a_reason(name: str, word: str) -> None:
    """Dot-files, the platform's markers and other kinds of file are no images."""
    reason = skip_reason(name)
    assert reason is not None
    assert re.search(word, reason)


@pytest.mark.parametrize(("name", "body"), good_pictures().items(), ids=lambda value: str(value)[:20])
def test_pictures_look_like_what_they_are(name: str, body: bytes) -> None:
    """Every good picture is known by its first bytes, whatever its name."""
    assert looks_like(body) in READ


@pytest.mark.parametrize("body", [b"", b"\xff", b"\x89PNG", b"RIFF", b"\0" * 64, bytes(range(256))])
def test_other_bytes_look_like_no_picture(body: bytes) -> None:
    """Stubs of headers and noise are named in words, never taken for a picture."""
    assert looks_like(body) not in READ
