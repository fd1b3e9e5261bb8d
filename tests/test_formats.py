"""The lists of formats agree with each other and with what the Makefile looks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quadrat import formats
from quadrat.formats import (
    IMAGE_FORMATS,
    IMAGE_SUFFIXES,
    IMAGE_WORDS,
    RAW_SUFFIXES,
    VIDEO_SUFFIXES,
    skip_reason,
)

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        ("a.jpg", True),
        ("A.JPEG", True),
        ("scan.tif", True),
        ("a.JPG.png", True),
        ("-leading.png", True),
        ("phone.heic", True),
        ("GOPR0001.GPR", False),
        ("", False),
        ("a.txt", False),
        ("a.jpg.txt", False),
        ("no-suffix", False),
        (".hidden.jpg", False),
        ("._a.jpg", False),
        (".ivcap-a.jpg.txt", False),
        ("clip.mp4", False),
        ("survey.csv", False),
    ],
)
def test_names(name: str, tried: bool) -> None:
    """Only names that a picture may have are tried, and the others say why not."""
    assert (skip_reason(name) is None) == tried


def test_a_suffix_is_of_one_kind() -> None:
    """No suffix is that of an image and of a video, and all are written in one way."""
    kinds = (IMAGE_SUFFIXES, RAW_SUFFIXES, VIDEO_SUFFIXES)
    assert sum(map(len, kinds)) == len(frozenset().union(*kinds))
    assert all(re.fullmatch(r"\.[a-z0-9]+", suffix) for kind in kinds for suffix in kind)


def test_the_hint_names_every_format() -> None:
    """A format that is added is in the sentence, too."""
    assert [word.upper() for word in re.findall(r"\b(?!or\b)\w+", IMAGE_WORDS)] == list(IMAGE_FORMATS)


def test_make_run_batch_takes_every_readable_image() -> None:
    """The Makefile cannot import the list: its pattern matches the same suffixes."""
    pattern = re.search(r"-iregex '(.*?)'", (ROOT / "Makefile").read_text("utf-8"))
    assert pattern is not None
    taken = {s for s in IMAGE_SUFFIXES | RAW_SUFFIXES | VIDEO_SUFFIXES if re.fullmatch(pattern[1], f"a{s}")}
    assert taken == set(formats._READABLE)
