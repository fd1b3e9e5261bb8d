"""Steps change frames before they are measured: whole, or window by window on disk."""

from __future__ import annotations

import numpy as np
import pytest

from quadrat.errors import ImageSizeError
from quadrat.media import scratch
from quadrat.pipeline import enhance
from quadrat.pipeline.enhance import enhanced
from quadrat.steps import parse_steps
from tests import pictures


def test_no_step_is_the_picture_itself() -> None:
    """Not even a copy is made."""
    pixels = pictures.drawing(40, 50)
    assert enhanced(pixels, parse_steps("none"), "a") is pixels


@pytest.mark.parametrize("text", ["median", "bilateral"])
def test_a_picture_on_disk_has_the_pixels_of_one_in_memory(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Local steps run window by window, and differ by exactly nothing; the result is on disk as well."""
    pixels, steps = pictures.drawing(300, 200), parse_steps(text)
    whole = enhanced(pixels, steps, "a")
    monkeypatch.setattr(scratch, "LARGE_PIXELS", 1000)
    made = enhanced(pixels, steps, "a")

    assert np.array_equal(made, whole)
    assert not made.flags.owndata


def test_a_global_step_on_a_mosaic_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller picture that is kept on disk is enhanced whole if there is memory for it."""
    pixels, steps = pictures.drawing(300, 200), parse_steps("median,grey-world")
    monkeypatch.setattr(scratch, "LARGE_PIXELS", 1000)
    assert np.array_equal(enhanced(pixels, steps, "m.tif"), steps.apply(pixels))
    monkeypatch.setattr(enhance, "fits", lambda _size: False)
    assert enhanced(pixels, steps, "m.tif").shape == pixels.shape
    monkeypatch.setattr(enhance, "CHECKED_PIXELS", 1000)
    with pytest.raises(
        ImageSizeError, match=r"m\.tif: there is no memory to apply median,grey-world to 200 x 300"
    ):
        enhanced(pixels, steps, "m.tif")
    monkeypatch.setattr(enhance, "MAX_SOURCE_PIXELS", 50_000)
    with pytest.raises(ImageSizeError, match=r"m\.tif: the step grey-world needs the whole picture"):
        enhanced(pixels, steps, "m.tif")
