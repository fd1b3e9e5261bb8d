from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from export_model.network import Network
from export_model.preprocessing import Preprocessing, Usual
from export_model.sizes import DIVISORS, check, find_divisor, multiples, question, runnable
from quadrat.errors import TransformError

NETWORK = Network(name="net", model={}, files={}, engines={}, shape=(1, 3, 96, 128), run=np.asarray)
RESIZE, PAD = {"type": "Resize", "target_size": [128, 96]}, {"type": "Padding", "target_size": [128, 96]}
PLAIN = {"type": "Normalize"}
LONG = {"type": "ResizeByLong", "long_size": 96}


@pytest.mark.parametrize(
    ("transforms", "shape"),
    [
        ([PLAIN], (None, 3, None, None)),
        ([{"type": "no such"}], (None, 3, None, None)),
        ([RESIZE, PLAIN], (1, 3, 96, 128)),
        ([RESIZE, PLAIN], (1, 3, 96, None)),
        ([LONG, PAD, PLAIN], (1, 3, 96, 128)),
    ],
)
def test_what_fits(transforms, shape):
    """A free size takes anything; a fixed one what the transforms bring every photograph to."""
    check(replace(NETWORK, transforms=tuple(transforms), shape=shape))


@pytest.mark.parametrize(
    ("transforms", "said"),
    [
        ([PLAIN], "640 x 480 reaches it as 640 x 480"),
        ([{"type": "Resize", "target_size": [96, 128]}, PLAIN], "640 x 480 reaches it as 96 x 128"),
        ([PAD, PLAIN], "do not fit the model's Padding"),
        ([LONG, PLAIN], "reaches it as 96 x 72"),
        ([{**RESIZE, "keep_ratio": True}, PLAIN], "reaches it as"),
    ],
)
def test_what_does_not_fit(transforms, said):
    """A photograph that would arrive at another size is named, and both options of the hint mend it."""
    with pytest.raises(TransformError) as caught:
        check(replace(NETWORK, transforms=tuple(transforms)))
    assert said in caught.value.line
    assert "128 x 96 pixels (width x height)" in caught.value.line
    assert "--letterbox 128 96, or --stretch 128 96" in caught.value.hint
    for mended in Preprocessing(letterbox=(128, 96)), Preprocessing(stretch=(128, 96)):
        check(replace(NETWORK, transforms=mended.listed(Usual(), None)))


@pytest.mark.parametrize("shape", [(None, 3, 64, None), (None, 3, None, 64)])
def test_one_fixed_side_is_enough(shape):
    """A fixed height or width alone is held to as well, and the hint keeps it."""
    with pytest.raises(TransformError, match="any") as caught:
        check(replace(NETWORK, shape=shape))
    assert "--stretch 64 64" in caught.value.hint


def needs(divisor):
    """Make the run of a network that takes multiples only: others fail, or come out larger, as U-Nets do."""

    def run(image):
        if divisor > 1 and image.shape[2] % divisor:
            raise ValueError("Concat")
        width = -(-image.shape[3] // divisor) * divisor
        return np.zeros((len(image), 2, image.shape[2], width), np.float32)

    return run


@pytest.mark.parametrize("divisor", DIVISORS)
def test_the_divisor_of_sizes_is_found(divisor):
    """Sizes must be multiples of it; it is 1 for a fixed size."""
    assert find_divisor(needs(divisor), (None, 3, None, None)) == divisor
    assert find_divisor(needs(divisor), (None, 3, 64, None)) == 1


@pytest.mark.parametrize("way", ["pad", "resize"])
def test_multiples_are_asked_for_and_then_kept(way):
    """The question names the divisor; with its answer, photographs of every size fit."""
    network = replace(NETWORK, shape=(None, 3, None, None), transforms=(PLAIN,))
    assert question(network, 1) is None
    asked = question(network, 32)
    assert asked is not None
    assert "multiples of 32" in asked.what
    assert f"--multiples {way}" in asked.options
    assert question(replace(network, transforms=(multiples(way, 32), PLAIN)), 32) is None


def test_a_size_at_which_a_network_runs_is_found():
    """Inputs are tried from small to large; a fixed side is kept."""
    assert runnable(needs(64), (None, 3, None, None)) == (None, 3, 128, 256)
    assert runnable(needs(1), (2, 3, 40, None)) == (2, 3, 40, 128)
