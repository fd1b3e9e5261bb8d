from __future__ import annotations

import argparse

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_model import families, objects
from export_model.preprocessing import Preprocessing, Usual, add_options, check, of
from quadrat.errors import ParameterError
from quadrat.package.detectors import LAYOUTS
from quadrat.tasks.detect.layouts import DetectorSpec
from quadrat.types import OutputSpec


def parsed(words: str) -> Preprocessing:
    """Read options as export.py does."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    options = parser.parse_args(words.split())
    check(options)
    return of(options)


@given(
    st.sampled_from([(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)]),
    st.none() | st.tuples(st.floats(0, 1), st.floats(0.01, 1)),
    st.booleans(),
    st.lists(st.integers(0, 255), min_size=3, max_size=3),
)
def test_pixels_are_scaled_to_the_range_and_then_normalised(
    pixel_range: tuple[float, float], shares: tuple[float, float] | None, bgr: bool, pixel: list[int]
) -> None:
    """(scaled - mean) / std, mean and std in the range's own values, in the order of the channels."""
    low, high = pixel_range
    mean, std = (0.0, 1.0) if shares is None else (low + shares[0] * (high - low), shares[1] * (high - low))
    given_ = Preprocessing(
        bgr=bgr,
        pixel_range=pixel_range,
        mean=None if shares is None else [mean],
        std=None if shares is None else [std],
    )
    picture = np.array(pixel, np.uint8).reshape(1, 1, 3)
    got = objects.tensor(picture, given_.listed(Usual(), None)).reshape(3)
    scaled = np.array(pixel[::-1] if bgr else pixel) / 255 * (high - low) + low
    np.testing.assert_allclose(got, (scaled - mean) / std, atol=1e-4 * max(1, 1 / std), rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "listed"),
    [
        ("--letterbox 64 32", {"type": "Letterbox", "size": [64, 32]}),
        ("--letterbox 64 32 --pad 0", {"type": "Letterbox", "size": [64, 32], "color": 0}),
        ("--letterbox 64 32 --position upper-left", {"type": "Letterbox", "size": [64, 32], "center": False}),
        ("--stretch 64 32", {"type": "Resize", "target_size": [64, 32]}),
        ("", {"type": "Letterbox", "size": [20, 10]}),
    ],
)
def test_images_are_brought_to_a_size(words: str, listed: dict[str, object]) -> None:
    """That of the option, or of the network; letterboxed in the middle on grey, unless the options say otherwise."""
    assert listed == parsed(words).listed(Usual(), (20, 10))[0]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("--mean 0.5", "give both"),
        ("--mean 0.5 0.5 --std 0.5 0.5", "one number is needed, or three"),
        ("--mean 127 --std 128", "add --range 0 255"),
        ("--mean 0.5 --std 0", "a standard deviation above 0"),
        ("--range 1 1", "the first value must be below"),
        ("--letterbox 9 9 --stretch 9 9", "give only one"),
        ("--stretch 9 9 --position center", "no effect with --stretch"),
        ("--letterbox 0 9", "a width and a height above 0"),
        ("--letterbox 9 16385", "sides are at most 16384"),
        ("--stretch 16000 16000", "pictures 100 million pixels"),
        ("--crop 1000000 1000000", "sides are at most 16384"),
        ("--crop 9 9 --short-side 16385", "it is at most 16384"),
        ("--pad -1", r"a grey value in 0\.\.255"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(words: str, what: str) -> None:
    """Each with what is wrong, before the network is read."""
    with pytest.raises(ParameterError, match=what):
        parsed(words)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_family_has_its_usual_preparation_or_asks(layout: str) -> None:
    """What is asked for says which options answer it."""
    usual = families.usual(layout, DetectorSpec("", (OutputSpec("o", "float32", (None, 300, 6)),), {}, None))
    try:
        assert Preprocessing().listed(usual, (64, 32))
    except ParameterError as ask:
        hint = ask.hint
    else:
        return
    assert "--stretch 64 32" in hint or "--range 0 1" in hint
    assert Preprocessing(stretch=(64, 32), pixel_range=(0, 1)).listed(usual, (64, 32))
