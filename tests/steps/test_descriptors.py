"""Descriptors: slow loops over the formulas, values computed by hand, and golden values of photographs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quadrat.media.facts import picture_facts
from quadrat.steps.descriptors import describe, uciqe, uicm, uiconm, uism
from quadrat.steps.noise import estimate_noise
from quadrat.types import ImageU8
from tests.steps.photographs import photograph

RED = (53.2408, 80.0925, 67.2032)
"""CIE Lab (D65) of sRGB (255, 0, 0), as published."""


def noise(height: int, width: int, seed: int = 0) -> ImageU8:
    """Draw a picture of independent values."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def lab(r: float, g: float, b: float) -> tuple[float, float, float]:
    """Convert one sRGB colour to CIE Lab by the formulas of the standard."""
    linear = [
        v / 255 / 12.92 if v / 255 <= 0.04045 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in (r, g, b)
    ]
    x, y, z = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]) @ linear  # fmt: skip
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x / 0.950456, y, z / 1.088754)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def slow_uciqe(pixels: ImageU8) -> float:
    """Compute UCIQE pixel by pixel."""
    light, chroma, saturation = [], [], []
    for pixel in pixels.reshape(-1, 3).tolist():
        one, a, b = (value / 100 for value in lab(*pixel))
        light.append(one)
        chroma.append(math.sqrt(a * a + b * b))
        radius = math.sqrt(chroma[-1] ** 2 + one**2)
        saturation.append(chroma[-1] / radius if radius else 0)
    contrast = np.percentile(light, 99) - np.percentile(light, 1)
    return 0.4680 * float(np.std(chroma)) + 0.2745 * float(contrast) + 0.2576 * float(np.mean(saturation))


def slow_uicm(pixels: ImageU8) -> float:
    """Compute UICM from sorted lists."""
    red, green, blue = (pixels[..., channel].ravel().astype(float) for channel in range(3))
    means, variances = [], []
    for values in (red - green, (red + green) / 2 - blue):
        ordered = sorted(values.tolist())
        first, last = math.ceil(0.1 * len(ordered)), math.floor(0.1 * len(ordered))
        kept = ordered[first : len(ordered) - last]
        means.append(sum(kept) / len(kept))
        variances.append(sum((value - means[-1]) ** 2 for value in ordered) / len(ordered))
    return -0.0268 * math.sqrt(means[0] ** 2 + means[1] ** 2) + 0.1586 * math.sqrt(sum(variances))


def blocks(values: np.ndarray) -> list[np.ndarray]:
    """Cut an array into its complete blocks of 10x10."""
    height, width = values.shape
    return [
        values[top : top + 10, left : left + 10]
        for top in range(0, height - 9, 10)
        for left in range(0, width - 9, 10)
    ]


def slow_uism(pixels: ImageU8) -> float:
    """Compute UISM with explicit sums of the Sobel filter."""
    total = 0.0
    for weight, channel in zip((0.299, 0.587, 0.114), np.moveaxis(pixels, 2, 0), strict=True):
        grey = np.pad(channel.astype(float), 1, mode="edge")
        height, width = channel.shape
        edges = np.zeros((height, width))
        for y in range(height):
            for x in range(width):
                near = grey[y : y + 3, x : x + 3]
                across = (near[:, 2] - near[:, 0]) @ (1, 2, 1)
                down = (near[2] - near[0]) @ (1, 2, 1)
                edges[y, x] = math.sqrt(across**2 + down**2) * channel[y, x]
        found = [math.log(b.max() / b.min()) if b.min() > 0 else 0.0 for b in blocks(edges)]
        total += weight * 2 / len(found) * sum(found)
    return total


def slow_uiconm(pixels: ImageU8) -> float:
    """Compute UIConM block by block."""
    found = []
    for block in blocks(pixels.astype(float).mean(axis=2)):
        contrast = (block.max() - block.min()) / (block.max() + block.min()) if block.max() else 0.0
        found.append(contrast * math.log(contrast) if contrast else 0.0)
    return -sum(found) / len(found)


@pytest.fixture(params=["noise", "photograph", "dark photograph", "flat"])
def drawn(request):
    """A small picture of each kind, of sides that are no multiples of a block."""
    if request.param == "noise":
        return noise(37, 52)
    if request.param == "flat":
        return np.full((25, 31, 3), (40, 90, 120), np.uint8)
    pixels = photograph("quadrant.jpg")[300:345, 200:263].copy()
    return pixels // 8 if "dark" in request.param else pixels


@pytest.mark.parametrize(
    ("fast", "slow", "off"),
    [
        (uciqe, slow_uciqe, 2e-3),
        (uicm, slow_uicm, 1e-9),
        (uism, slow_uism, 1e-5),
        (uiconm, slow_uiconm, 1e-9),
    ],
)
def test_a_descriptor_follows_its_formula(drawn, fast, slow, off):
    """The fast form equals a loop over the formula; OpenCV's conversion to Lab is a table, hence UCIQE's tolerance."""
    assert fast(drawn) == pytest.approx(slow(drawn), abs=off)


def test_uciqe_of_two_colours_by_hand():
    """Half red, half black: chroma is 1.0455 and 0, its deviation half of that, saturation 0.8911 and 0."""
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :10, 0] = 255
    light, a, b = RED
    chroma = math.hypot(a, b) / 100
    saturation = chroma / math.hypot(chroma, light / 100)
    expected = 0.4680 * chroma / 2 + 0.2745 * light / 100 + 0.2576 * saturation / 2
    assert expected == pytest.approx(0.5056, abs=1e-4)
    assert uciqe(pixels) == pytest.approx(expected, abs=2e-3)


def test_uicm_of_ten_pixels_by_hand():
    """One of ten values is left out at each end: RG is 0 nine times and 100 once, YB 0 nine times and 50 once."""
    pixels = np.full((1, 10, 3), 50, np.uint8)
    pixels[0, 4, 0] = 150
    assert uicm(pixels) == pytest.approx(0.1586 * math.sqrt((100**2 + 50**2) / 10))


def test_uiconm_of_one_block_by_hand():
    """A block of 30 and 90 has m = 60 / 120."""
    pixels = np.full((10, 10, 3), 30, np.uint8)
    pixels[3, 4] = 90
    assert uiconm(pixels) == pytest.approx(0.5 * math.log(2))


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("hw", [(1, 1), (1, 30), (30, 1), (7, 9), (40, 40)])
def test_a_grey_picture_without_contrast_scores_zero(hw, value):
    """No division by zero, no NaN, and nothing found where nothing is; OpenCV gives grey a chroma of almost 0."""
    pixels = np.full((*hw, 3), value, np.uint8)
    with np.errstate(all="raise"):
        found = describe(pixels)
    numbers = [found.uciqe, found.uiqm, found.sharpness, found.noise]
    assert numbers == pytest.approx([0, 0, 0, 0], abs=1e-3)
    assert found.mean_rgb == pytest.approx((value,) * 3)


def test_noise_is_found_where_it_was_added():
    """The estimate rises with the deviation of noise added to a smooth picture, within 5 per cent; a flat one has none."""
    smooth = np.repeat(np.linspace(60, 180, 400)[None, :, None], 300, axis=0).repeat(3, axis=2)
    assert estimate_noise(np.full((50, 60, 3), 77, np.uint8)) == 0
    for deviation in (3, 8, 20):
        drawn = smooth + np.random.default_rng(deviation).normal(0, deviation, smooth.shape)
        found = estimate_noise(np.rint(drawn).clip(0, 255).astype(np.uint8))
        assert found == pytest.approx(deviation, rel=0.05)


def test_a_large_picture_is_described_by_its_shrunk_one():
    """A picture is described at a megapixel, but its noise and mean colour are those of all its pixels."""
    pixels = photograph("576.JPG")
    found = describe(pixels)
    assert found.noise == estimate_noise(pixels)
    assert found.noise == pytest.approx(
        np.mean([estimate_noise(part) for part in np.array_split(pixels, 4)]), rel=0.1
    )
    assert found.mean_rgb == pytest.approx(pixels.reshape(-1, 3).mean(axis=0))
    assert found.sharpness == pytest.approx(picture_facts(pixels).sharpness, rel=0.1)


GOLDEN = {
    "576.JPG": (0.3208, 3.5859, 0.3636, 2.1401),
    "quadrant.jpg": (0.3447, 3.4018, 0.5103, 3.7733),
    "astronaut.png": (0.4727, 2.5388, 0.1522, 2.0865),
    "dog.jpg": (0.4765, 2.8113, 0.0777, 1.1219),
    "leuvenA.jpg": (0.3346, 2.8413, 0.2320, 2.3562),
}  # fmt: skip
"""UCIQE, UIQM, sharpness, noise of photographs. The formulas are tested above; these hold them in place."""


@pytest.mark.parametrize("name", GOLDEN)
def test_a_photograph_has_its_values(name):
    """Values stay within what decoders and instruction sets change."""
    found = describe(photograph(name))
    assert [found.uciqe, found.uiqm, found.sharpness, found.noise] == pytest.approx(GOLDEN[name], rel=0.01)
