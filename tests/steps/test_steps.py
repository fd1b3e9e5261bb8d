"""Enhancement steps by name: the laws that all of them obey, and how a text becomes steps."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest

from quadrat.errors import ImageSizeError, ParameterError
from quadrat.geometry import Window
from quadrat.steps import STEPS, Steps, load, parse_steps
from quadrat.steps.step import FAMILIES
from quadrat.types import ImageU8
from tests.steps.photographs import photograph

LOCAL = [name for name in STEPS if load(name).radius is not None]
GLOBAL = [name for name in STEPS if load(name).radius is None]


def noise(height: int, width: int, seed: int = 0) -> ImageU8:
    """Draw a picture of independent values."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


EDGES = {
    "one pixel": np.full((1, 1, 3), (10, 200, 90), np.uint8),
    "one black pixel": np.zeros((1, 1, 3), np.uint8),
    "one row": noise(1, 37),
    "one column": noise(41, 1),
    "two rows": noise(2, 50),
    "seven by nine": noise(7, 9),
    "black": np.zeros((40, 50, 3), np.uint8),
    "white": np.full((40, 50, 3), 255, np.uint8),
    "constant": np.full((33, 65, 3), (3, 120, 250), np.uint8),
    "no red": noise(30, 40) * np.array([0, 1, 1], np.uint8),
    "one bright pixel": np.pad(np.full((1, 1, 3), 255, np.uint8), ((20, 20), (30, 30), (0, 0))),
}


@pytest.mark.parametrize("name", STEPS)
def test_the_record_has_the_name_of_its_entry(name):
    """A record belongs to one known family, and STEPS lists the families in their order."""
    families = [FAMILIES.index(load(step).family) for step in STEPS]
    assert load(name).name == name
    assert families == sorted(families)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", STEPS)
def test_a_step_keeps_shape_dtype_and_its_argument(name, edge):
    """Any picture gives a new one of its shape, without a warning, and stays as it was."""
    pixels = EDGES[edge].copy()
    pixels.setflags(write=False)
    with np.errstate(all="raise"):
        found = parse_steps(name).apply(pixels)
    assert (found.shape, found.dtype) == (pixels.shape, np.uint8)
    assert not np.shares_memory(found, pixels)
    assert np.array_equal(pixels, EDGES[edge])
    assert found.flags.writeable


@pytest.mark.parametrize("edge", ["black", "white", "one pixel", "one black pixel"])
@pytest.mark.parametrize("name", [name for name in STEPS if load(name).family == "contrast"])
def test_contrast_invents_nothing_without_contrast(name, edge):
    """A picture of one value stays near it: it has no contrast to strengthen. CLAHE lifts black by a few levels."""
    found = parse_steps(name).apply(EDGES[edge])
    assert np.abs(found.astype(int) - EDGES[edge]).max() <= 10


@pytest.mark.parametrize("value", [(0, 0, 0), (90, 90, 90), (255, 255, 255), (200, 0, 30)])
def test_msrcr_leaves_a_picture_of_one_value(value):
    """Its reflectance is zero everywhere: stretched, a white picture would be black."""
    pixels = np.full((60, 70, 3), value, np.uint8)
    assert np.array_equal(parse_steps("msrcr").apply(pixels), pixels)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_grey_picture_stays_grey(name, value):
    """A picture without colour gets none."""
    pixels = np.repeat(noise(48, 64)[..., :1] // 4 + np.uint8(value * 3 // 4), 3, axis=2)
    found = parse_steps(name).apply(pixels).astype(int)
    assert np.ptp(found, axis=2).max() <= 1


@pytest.mark.parametrize("name", STEPS)
def test_two_runs_give_the_same_pixels(name):
    """A step is deterministic, and takes views, memory maps and other layouts for what they show."""
    pixels = photograph("quadrant.jpg")[:160, :200]
    steps = parse_steps(name)
    expected = steps.apply(pixels)
    assert np.array_equal(expected, steps.apply(np.asfortranarray(pixels)))
    assert np.array_equal(expected, steps.apply(pixels[::-1][::-1].copy()))


@pytest.mark.parametrize("name", STEPS)
def test_a_memory_map_is_read(name, tmp_path):
    """The pixels of a mosaic are a read-only map of a file."""
    pixels = noise(24, 30)
    pixels.tofile(tmp_path / "pixels")
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "r", shape=pixels.shape)
    assert np.array_equal(parse_steps(name).apply(mapped), parse_steps(name).apply(pixels))


@pytest.mark.parametrize("name", LOCAL)
def test_windows_of_a_local_step_give_the_whole_exactly(name):
    """Tiles of any size, with the radius as margin, show the pixels that the whole picture shows."""
    steps = parse_steps(name)
    pixels = np.concatenate([photograph("quadrant.jpg")[:150, :181], noise(40, 181)])
    whole = steps.apply(pixels)
    for side in (1 << 4, 37, 64, 500):
        joined = np.empty_like(whole)
        for window, part in steps.windows(pixels, side):
            joined[window.top : window.bottom, window.left : window.right] = part
        assert np.array_equal(joined, whole), side


@pytest.mark.parametrize("name", LOCAL)
def test_nothing_beyond_the_radius_matters(name):
    """Changing a pixel changes none of the result that is further away than the radius, and the radius is not larger than needed."""
    steps = parse_steps(name)
    radius = steps.radius
    reach = 0
    for seed in range(20):
        around = noise(41, 41, seed) // 8 + 112
        changed = around.copy()
        changed[20, 20] = 120 if around[20, 20, 0] > 127 else 135
        rows, columns = np.nonzero((steps.apply(around) != steps.apply(changed)).any(axis=2))
        reach = max(reach, *np.abs(rows - 20), *np.abs(columns - 20), 0)
    assert reach == radius


@pytest.mark.parametrize("name", GLOBAL)
def test_a_global_step_is_refused_for_mosaics(name):
    """The refusal names the mosaic, the step, and the steps that could be used."""
    steps = parse_steps(f"{name},median") if load(name).family != "denoise" else parse_steps(name)
    with pytest.raises(ImageSizeError, match=name) as caught:
        steps.check_mosaic("reef.tif")
    assert caught.value.where == "reef.tif"
    assert all(local in caught.value.hint for local in LOCAL)
    with pytest.raises(ParameterError, match="whole picture"):
        steps.apply_window(noise(20, 20), Window(0, 0, 4, 4))


@pytest.mark.parametrize("text", ["none", *LOCAL])
def test_a_local_step_is_allowed_for_mosaics(text):
    """None, median and bilateral pass."""
    parse_steps(text).check_mosaic("reef.tif")


def test_none_is_the_picture():
    """No step gives the given array, whole or by windows."""
    steps, pixels = parse_steps("none"), noise(9, 12)
    assert steps.apply(pixels) is pixels
    assert (steps.names, steps.radius, bool(steps), str(steps)) == ((), 0, False, "none")
    assert np.array_equal(steps.apply_window(pixels, Window(2, 3, 4, 5)), pixels[2:6, 3:8])
    assert parse_steps(" none ") == Steps()


def test_the_order_of_names_does_not_matter():
    """Steps run in the order of the families, whatever the order in the text; the text of steps reads back."""
    names = ["bilateral", "grey-world", "clahe"]
    for seed in range(6):
        given = random.Random(seed).sample(names, 3)
        steps = parse_steps(" , ".join(given))
        assert steps.names == tuple(names)
        assert parse_steps(str(steps)) == steps
    pixels = photograph("quadrant.jpg")[:90, :80]
    one_by_one = pixels
    for name in names:
        one_by_one = parse_steps(name).apply(one_by_one)
    assert np.array_equal(steps.apply(pixels), one_by_one)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sharpen", "unknown step 'sharpen'"),
        ("Clahe", "unknown step 'Clahe'"),
        ("", "unknown step ''"),
        ("clahe,", "unknown step ''"),
        ("clahe,clahe", "'clahe' is given twice"),
        ("none,clahe", "'none' beside a step"),
        ("none,none", "'none' beside a step"),
        ("grey-world,shades-of-grey", "both colour steps"),
        ("median,clahe,bilateral", "both denoise steps"),
        ("stretch,grey-world,clahe", "both contrast steps"),
    ],
)
def test_a_wrong_text_is_refused(text, words):
    """The error names the parameter, what is wrong, and what to give."""
    with pytest.raises(ParameterError, match=words) as caught:
        parse_steps(text, "compare")
    assert caught.value.where == "compare"
    assert caught.value.hint
    if "unknown" in words:
        assert all(name in caught.value.hint for name in (*STEPS, "none"))


def test_steps_cross_process_boundaries():
    """Steps are pickled with a pass, by names of functions."""
    steps = parse_steps("median,stretch")
    assert pickle.loads(pickle.dumps(steps)) == steps
