"""A batch that is not full waits for inputs, and what comes meanwhile waits with it: never much of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from quadrat.geometry import Geometry
from quadrat.pipeline.batches import BESIDE, Batches
from quadrat.pipeline.events import Prepared, Ran
from quadrat.pipeline.loaded import LoadedModel, load_model
from quadrat.settings import Settings
from quadrat.types import Frame, FrameKey, Result, Sample, Source
from tests.networks import brightness_archive

LOG = logging.getLogger("test")
SIZE = 4
SOURCE = Source("urn:v", "v.mp4", "video")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[LoadedModel]:
    """The brightness network, loaded, with batches of SIZE."""
    with load_model(brightness_archive(tmp_path / "m.tgz"), Settings(batch_size=SIZE), LOG) as loaded:
        yield loaded


def item(number: int, skipped: str) -> Prepared | Result:
    """Make what the stage before gives for a frame: an input, or that it is not measured."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    frame = Frame(FrameKey(SOURCE.urn, number), (8, 8), pixels, time_s=number / 25, skipped=skipped)
    if skipped:
        return Result(SOURCE, frame, {})
    return Prepared(SOURCE, Sample(frame, np.zeros((3, 8, 8), np.float32), Geometry.identity((8, 8))))


def test_a_long_darkness_does_not_pile_up_behind_one_input(model: LoadedModel) -> None:
    """An input waits for others to share its batch; the black frames that come instead are not all kept with it."""
    taken = []

    def items() -> Iterator[Prepared | Result]:
        for number in range(200):
            taken.append(number)
            yield item(number, "black" if number % 100 else "")

    held, came = 0, []
    for one in Batches(model)(items()):
        came.append(one.sample.frame if isinstance(one, Ran) else one.frame)
        held = max(held, len(taken) - len(came))

    assert list(range(200)) == [frame.key.index for frame in came]
    assert held <= (BESIDE + 1) * SIZE + 1
