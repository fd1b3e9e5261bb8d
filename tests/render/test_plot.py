"""Plots show every line, whatever its numbers."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from quadrat.render.plot import COLORS, MOST_LINES, Line, draw_plot


def colors_of(body: bytes) -> set[tuple[int, ...]]:
    """Give the colours of a picture."""
    with Image.open(io.BytesIO(body)) as image:
        return {tuple(each) for each in np.asarray(image.convert("RGB")).reshape(-1, 3)}


def test_each_line_has_its_colour() -> None:
    """Also one of a single point."""
    lines = [Line("one", ((1.0, 5.0), (2.0, 8.0), (4.0, 3.0)), 2.0), Line("two", ((1.0, 2.0),))]
    assert set(COLORS[:2]) <= colors_of(draw_plot("title", "x", "y", lines))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [Line("", ((1.0, 0.0),), 1.0)],
        [Line("a very long name of a model that does not fit beside the axes, 128 threads", ((1.0, 1e-9), (64.0, 1e9)))],
        [Line(f"line {n}", ((1.0, n), (1024.0, n + 1.0))) for n in range(MOST_LINES + 5)],
    ],
    ids=["none", "zero", "wide", "many"],
)  # fmt: skip
def test_any_numbers_are_drawn(lines: list[Line]) -> None:
    """Nothing raises, and the same plot is the same bytes."""
    assert draw_plot("t", "x", "y", lines) == draw_plot("t", "x", "y", lines)
