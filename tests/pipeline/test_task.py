"""A frame that fails is told, and takes nothing from its neighbours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from quadrat.errors import EngineRunError
from quadrat.pipeline.loaded import LoadedModel, load_model
from quadrat.types import Ended
from tests.moving import RECTANGLES, Pixels, boxes_of, film, measured, swim, watched
from tests.values import settings_of

MARK = 12
"""Side of the white corner of a frame that the engine fails on."""


@pytest.fixture(scope="module", params=[1, 2])
def model(request: pytest.FixtureRequest) -> Iterator[LoadedModel]:
    """The detector of rectangles, one run of it at a time, and two."""
    many = request.param > 1
    with load_model(RECTANGLES, settings_of(), logging.getLogger("test"), many=many) as loaded:
        if loaded.at_once != request.param:
            pytest.skip("the network has one thread here")
        yield loaded


def marked(pixels: Pixels, corner: tuple[int, int]) -> Pixels:
    """Give a copy with one corner, 0 or -1 for each axis, white."""
    rows, columns = (slice(-MARK, None) if end else slice(MARK) for end in corner)
    copy = pixels.copy()
    copy[rows, columns] = 255
    return copy


def fails_on_white(batch: NDArray[np.float32]) -> None:
    """Raise for inputs that have white in them."""
    if (batch.min(axis=1) > 0.9).any():
        raise EngineRunError("white")


@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, -1)])
def test_a_frame_of_which_a_tile_fails_fails_alone(
    model: LoadedModel, tmp_path: Path, corner: tuple[int, int]
) -> None:
    """Be it the first tile, one in the middle or the last one: no box goes to another frame, tile or video."""
    a, b = swim(6), swim(6, y=60)
    a[3] = marked(a[3], corner)
    films = [film(tmp_path / "a.mp4", a), film(tmp_path / "b.mp4", b)]
    failing = watched(model, fails_on_white)
    results, ends = measured(failing, films, tile_size=80, tile_overlap=40, batch_size=7)

    assert ["", "", "", "failed", "", ""] == [r.frame.skipped for r in results["a"]]
    for name, top in (("a", 40), ("b", 60)):
        found = {r.frame.key.index: boxes_of(r) for r in results[name] if not r.frame.skipped}
        there = [n for n in range(6) if name == "b" or n != 3]
        assert {n: [(8 + 4 * n, top, 48 + 4 * n, top + 40)] for n in there} == found
    cut, whole = ends["a"], ends["b"]
    assert isinstance(cut, Ended)
    assert isinstance(whole, Ended)
    assert ({"failed": 1}, {}) == (cut.skipped, whole.skipped)
    assert isinstance(cut.reading.error, EngineRunError)
    assert whole.reading.error is None
