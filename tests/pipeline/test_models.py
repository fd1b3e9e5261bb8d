"""A model is opened for what will be asked of it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from quadrat.pipeline.loaded import AT_ONCE, load_model
from tests.networks import brightness_archive
from tests.values import settings_of

LOG = logging.getLogger("test")


@pytest.mark.parametrize(
    ("fixed", "asked", "told"), [(4, 8, True), (4, 4, False), (4, 1, False), (-1, 8, False)]
)
def test_a_batch_size_that_is_not_used_is_told(
    fixed: int, asked: int, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A network of a fixed batch runs as it is: who asked for another number hears why nothing changed."""
    archive = brightness_archive(tmp_path / "m.tgz", shape=[fixed, 3, -1, -1])
    with load_model(archive, settings_of(batch_size=asked), LOG):
        pass

    assert ("batch-size 8 is not used: this network takes 4 at once" in caplog.text) is told


def test_only_a_stream_of_frames_is_measured_side_by_side(tmp_path: Path) -> None:
    """One picture has all threads for itself; of many frames two are with the network, if there are threads for it."""
    archive = brightness_archive(tmp_path / "m.tgz")
    found = []
    for many in (False, True):
        with load_model(archive, settings_of(), LOG, many=many) as model:
            assert model.at_once == model.engine.at_once
            found.append(model.at_once)

    assert found == [1, min(AT_ONCE, len(os.sched_getaffinity(0)))]
