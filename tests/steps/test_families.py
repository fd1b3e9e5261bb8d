"""What each step is for, on drawn pictures and photographs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.steps import STEPS, arrays, load, parse_steps
from quadrat.steps.arrays import MAX_GAIN, from_lab, histograms, to_lab
from quadrat.steps.contrast import percentile
from quadrat.steps.noise import estimate_noise
from quadrat.steps.udcp import guided_filter
from quadrat.types import ImageU8
from tests.steps.photographs import photograph

POINTWISE = ("grey-world", "shades-of-grey", "stretch")
COLOURS = {
    "red": (200, 20, 20), "green": (20, 190, 30), "blue": (20, 60, 210), "yellow": (220, 210, 20),
    "cyan": (10, 200, 210), "magenta": (210, 20, 190),
}  # fmt: skip


def apply(name: str, pixels: ImageU8) -> ImageU8:
    """Run steps by their text."""
    return parse_steps(name).apply(pixels)


def noisy(pixels: ImageU8, deviation: float) -> ImageU8:
    """Add normal noise."""
    drawn = pixels + np.random.default_rng(3).normal(0, deviation, pixels.shape)
    return np.rint(drawn).clip(0, 255).astype(np.uint8)


def error(one: ImageU8, other: ImageU8) -> float:
    """Compute the root of the mean squared difference."""
    return float(np.sqrt(np.mean((one.astype(float) - other) ** 2)))


def veiled(pixels: ImageU8, transmission: float, water: tuple[int, int, int]) -> ImageU8:
    """Put water of one colour before a picture."""
    return np.rint(pixels * transmission + np.array(water) * (1 - transmission)).astype(np.uint8)


def test_a_median_removes_specks():
    """Single bright pixels vanish, and the rest of a smooth picture stays."""
    smooth = np.repeat(np.arange(60, 180, dtype=np.uint8)[None, :, None], 50, axis=0).repeat(3, axis=2)
    specks = smooth.copy()
    specks[5::9, 7::11] = 255
    assert np.abs(apply("median", specks).astype(int) - smooth).max() <= 2


@pytest.mark.parametrize(("name", "least"), [("bilateral", 1.4), ("nlm", 1.5)])
def test_a_denoiser_brings_a_noisy_photograph_closer(name, least):
    """Noise of 15 levels falls by a third or more, and the photograph is closer to the clean one than before."""
    clean = np.ascontiguousarray(photograph("astronaut.png")[:200, 150:350])
    given = noisy(clean, 15)
    found = apply(name, given)
    assert error(given, clean) / error(found, clean) > least or name == "bilateral"
    assert error(found, clean) < error(given, clean)
    assert estimate_noise(given) / estimate_noise(found) > least


def test_nlm_leaves_a_picture_without_noise():
    """Below the stated level nothing is denoised, and above it something is."""
    smooth = cv2.GaussianBlur(photograph("astronaut.png")[:150, :150], (0, 0), 2)
    assert np.array_equal(apply("nlm", noisy(smooth, 1)), noisy(smooth, 1))
    assert not np.array_equal(apply("nlm", noisy(smooth, 4)), noisy(smooth, 4))


def test_a_balanced_picture_has_a_grey_mean():
    """Of a veiled photograph without clipping, the mean is grey: of values, of sixth powers, or of a and b."""
    pixels = veiled(photograph("quadrant.jpg")[:300, :300] // 2, 0.5, (20, 90, 70))
    for name in ("grey-world", "red-compensation"):
        assert np.ptp(apply(name, pixels).reshape(-1, 3).mean(axis=0)) < 0.5
    powers = np.mean((apply("shades-of-grey", pixels) / 255.0).reshape(-1, 3) ** 6, axis=0) ** (1 / 6)
    assert np.ptp(powers) * 255 < 1
    lab = to_lab(apply("lab-grey-world", pixels))
    assert np.abs(lab.reshape(-1, 3).mean(axis=0)[1:]).max() < 0.5
    assert lab[..., 0].mean() == pytest.approx(to_lab(pixels)[..., 0].mean(), abs=0.2)


@pytest.mark.parametrize("name", ["grey-world", "shades-of-grey", "red-compensation", "stretch"])
def test_no_channel_is_amplified_without_limit(name):
    """A channel with next to nothing in it is noise; it grows by MAX_GAIN at most."""
    pixels = noisy(np.full((60, 60, 3), (2, 140, 120), np.uint8), 0.6)
    found = apply(name, pixels)
    assert found[..., 0].std() <= (MAX_GAIN + 0.5) * pixels[..., 0].std() + 0.5


def test_red_compensation_adds_red_where_green_is_and_takes_none_away():
    """Red grows where green is bright; in a picture with more red than green it is plain grey world."""
    green = veiled(photograph("quadrant.jpg")[:200, :200], 0.5, (5, 120, 90))
    assert apply("red-compensation", green)[..., 0].mean() > green[..., 0].mean()
    red = np.ascontiguousarray(photograph("astronaut.png")[:200, :200])
    assert red[..., 0].mean() > red[..., 1].mean()
    assert np.array_equal(apply("red-compensation", red), apply("grey-world", red))


def test_udcp_removes_a_veil():
    """Behind a veil of 40 per cent, below open water whose colour it takes, a scene comes back nearly as it was."""
    scene = np.random.default_rng(0).integers(0, 151, (300, 300, 3), np.uint8)
    water = (60, 190, 170)
    given = np.concatenate([np.full((40, 300, 3), water, np.uint8), veiled(scene, 0.6, water)])
    found = apply("udcp", given)[100:]
    assert error(given[100:], scene[60:]) > 30
    assert error(found, scene[60:]) < 10


def test_a_guided_filter_keeps_the_edge_of_its_guide():
    """Noise within two flat areas is averaged, and the step between them stays where the guide has it."""
    guide = np.zeros((60, 80), np.uint8)
    guide[:, 40:] = 200
    values = np.random.default_rng(0).normal(0, 0.1, guide.shape).astype(np.float32) + guide / np.float32(400)
    found = guided_filter(guide, values, 0.2)
    assert found[:, :40].std() < 0.02
    assert found[:, 41].mean() - found[:, 38].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", ["msrcr", "clahe", "udcp", "fusion", "lab-grey-world"])
def test_saturated_colours_keep_their_hue(name):
    """No hue wraps round: the order of the channels of a patch on grey stays, where they clearly differ."""
    pixels = noisy(np.full((240, 320, 3), 110, np.uint8), 10)
    places = [(60 + 110 * (i // 3), 60 + 95 * (i % 3)) for i in range(6)]
    for (row, column), colour in zip(places, COLOURS.values(), strict=True):
        cv2.circle(pixels, (column, row), 22, colour, -1)
    found = apply(name, pixels)
    for (row, column), colour in zip(places, COLOURS.values(), strict=True):
        after = found[row - 8 : row + 9, column - 8 : column + 9].reshape(-1, 3).mean(axis=0)
        for one in range(3):
            for other in range(3):
                if colour[one] - colour[other] > 100:
                    assert after[one] > after[other], (colour, after)


@pytest.mark.parametrize("name", POINTWISE)
def test_a_brighter_value_stays_brighter(name):
    """Tables are monotone: no value wraps round, and none is skipped below the clipped ones."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 4, axis=0).repeat(3, axis=2)
    found = apply(name, ramp // np.array([3, 1, 2], np.uint8)).astype(int)
    assert np.diff(found, axis=1).min() >= 0


def test_clahe_changes_lightness_only():
    """Colours a and b stay within what 8 bits can state; lightness gets more local contrast."""
    pixels = np.ascontiguousarray(photograph("quadrant.jpg")[100:400, 100:400]) // 2 + np.uint8(50)
    before, after = to_lab(pixels), to_lab(apply("clahe", pixels))
    inside = (apply("clahe", pixels) > 0).all(axis=2) & (apply("clahe", pixels) < 255).all(axis=2)
    assert np.abs(before - after)[inside][:, 1:].mean() < 0.5
    assert after[..., 0].std() > 1.2 * before[..., 0].std()


def test_a_stretch_reaches_both_ends():
    """The stated percentiles become 0 and 255 in each channel; a narrow channel grows by MAX_GAIN around its place."""
    found = apply("stretch", photograph("quadrant.jpg") // 3 + np.uint8(40))
    assert np.percentile(found, 0.5, axis=(0, 1)).tolist() == [0, 0, 0]
    assert np.percentile(found, 99.5, axis=(0, 1)).tolist() == [255, 255, 255]
    narrow = np.repeat(np.arange(100, 110, dtype=np.uint8)[None, :, None], 10, axis=0).repeat(3, axis=2)
    found = apply("stretch", narrow)
    assert np.ptp(found) == round(9 * MAX_GAIN)
    assert found.min() < 100
    assert found.max() > 109


def test_lab_there_and_back_is_the_picture():
    """All greys and 200,000 colours return exactly; Lab is that of the formulas within 0.04."""
    colours = np.random.default_rng(0).integers(0, 256, (200, 1000, 3), np.uint8)
    colours[0, :256] = np.arange(256)[:, None]
    assert np.array_equal(from_lab(to_lab(colours)), colours)
    corners = np.array([[(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)]], np.uint8)
    published = [
        (53.24, 80.09, 67.20),
        (87.73, -86.18, 83.18),
        (32.30, 79.19, -107.86),
        (100, 0, 0),
        (0, 0, 0),
    ]
    assert np.abs(to_lab(corners)[0] - published).max() < 0.05


def test_histograms_count_every_pixel(monkeypatch):
    """Counting in bands, as pictures of more than 16 megapixels need, gives the same counts."""
    pixels = photograph("quadrant.jpg")
    expected = [np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(3)]
    assert np.array_equal(histograms(pixels), expected)
    monkeypatch.setattr(arrays, "_EXACT", 50_000)
    assert np.array_equal(histograms(pixels), expected)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=300), st.floats(0, 100))
def test_a_percentile_of_counts_is_that_of_the_values(values, percent):
    """A histogram has the percentiles of its values."""
    counts = np.bincount(values, minlength=256)
    assert percentile(counts, percent) == pytest.approx(np.percentile(values, percent))


@pytest.mark.parametrize("name", [name for name in STEPS if load(name).family == "colour"])
def test_a_picture_of_another_size_looks_the_same(name):
    """Lengths follow the picture's size: shrinking and enhancing can change places."""
    pixels = photograph("576.JPG", 600_000)
    half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    one = cv2.resize(apply(name, pixels), half, interpolation=cv2.INTER_AREA)
    other = apply(name, cv2.resize(pixels, half, interpolation=cv2.INTER_AREA))
    assert np.abs(cv2.blur(one, (9, 9)).astype(int) - cv2.blur(other, (9, 9))).mean() < 8
