"""Each step against a plain composition of library calls: same picture, or the difference that its docstring explains."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.plain_steps import PLAIN
from quadrat.steps import STEPS, load
from tests.steps.photographs import photograph

TOLERANCES = {
    "median": (0, 0),
    "bilateral": (0, 0),
    "grey-world": (1, 0.001),
    "shades-of-grey": (1, 0.001),
    "lab-grey-world": (2, 0.4),  # OpenCV's conversion from sRGB to Lab is a coarse table
    "red-compensation": (1, 0.001),
    "fusion": (4, 0.1),
    "udcp": (5, 0.3),  # the dark channel is rounded to 8 bits
    "msrcr": (8, 1.5),  # blurs of shrunk pictures
    "clahe": (16, 1.6),  # OpenCV's 8-bit Lab alone is off by as much
    "stretch": (1, 0.02),
}
"""The greatest and the mean difference in levels."""


def green_veil(height: int = 300, width: int = 260) -> np.ndarray:
    """Cut a part of the photograph with a green veil."""
    return np.ascontiguousarray(photograph("quadrant.jpg")[200 : 200 + height, 100 : 100 + width])


@pytest.mark.parametrize("part", ["veil", "astronaut"])
@pytest.mark.parametrize(
    ("name", "peer"),
    [(name, peer) for name, peers in PLAIN.items() for peer in peers if "scikit-image" not in peer],
)
def test_a_step_gives_the_picture_of_its_composition(name, peer, part):
    """Fused, banded and shrunk computations change no more than stated."""
    pixels = green_veil() if part == "veil" else np.ascontiguousarray(photograph("astronaut.png")[:257, :301])
    difference = np.abs(load(name).run(pixels).astype(int) - PLAIN[name][peer](pixels))
    greatest, mean = TOLERANCES[name]
    assert (difference.max() <= greatest, difference.mean() <= mean) == (True, True), (
        difference.max(),
        difference.mean(),
    )


def test_every_step_has_a_composition():
    """The benchmark leaves no step out."""
    assert set(PLAIN) == set(STEPS)
