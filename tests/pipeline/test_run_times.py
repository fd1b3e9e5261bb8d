"""The times of a run's stages are those of work that counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from quadrat.pipeline.batches import WARM_UPS
from quadrat.pipeline.models import LoadedModel, Pass, load_models
from quadrat.pipeline.run import ENCODE_S, Run
from quadrat.types import Blob, Source
from tests import pictures
from tests.moving import LOG, RECTANGLES, film, load, pull, swim, watched
from tests.networks import brightness_archive
from tests.values import settings_of
from tests.waiting import repeated


@pytest.fixture
def model(tmp_path: Path) -> Iterator[LoadedModel]:
    """The brightness network, loaded."""
    with load(brightness_archive(tmp_path / "m.tgz")) as loaded:
        yield loaded


@pytest.fixture
def files(tmp_path: Path) -> list[Source]:
    """Six pictures."""
    for n in range(6):
        (tmp_path / f"{n}.png").write_bytes(pictures.png(np.full((8, 8, 3), 40 * n, np.uint8)))
    return [Source(f"urn:{n}", f"{n}.png", token=str(tmp_path / f"{n}.png")) for n in range(6)]


@repeated
def test_warm_up_is_left_out_of_the_seconds(model: LoadedModel, files: list[Source]) -> None:
    """The first batch runs a few times more, slowly, and these runs count for nothing."""
    runs: list[int] = []

    def slow_at_first(batch: NDArray[np.float32]) -> None:
        runs.append(len(batch))
        if len(runs) <= WARM_UPS:
            threading.Event().wait(0.1)

    asked = replace(watched(model, slow_at_first), settings=settings_of(batch_size=4, benchmark=True))
    path = Run(Pass([asked]), files, pull)
    list(path)

    assert [4] * (WARM_UPS + 1) + [2] == runs
    assert path.seconds["infer"] < 0.1 * WARM_UPS <= path.warm_up_s


def test_the_encoder_has_most_time_to_finish(model: LoadedModel, files: list[Source], tmp_path: Path) -> None:
    """All of a long video is moved at its end."""
    patience = {
        stage.name: stage.patience_s
        for stage in Run(Pass([model]), files, pull, moving=True, videos=tmp_path).stages
    }
    assert patience.pop("encode") == ENCODE_S > max(patience.values())


@repeated
def test_waiting_for_a_decoder_is_not_work(model: LoadedModel, tmp_path: Path) -> None:
    """The stage that takes frames of several videos in turn starves while none has one."""

    @contextmanager
    def slow(source: Source) -> Iterator[Blob]:
        threading.Event().wait(0.5)
        yield Blob(Path(source.token))

    source = film(tmp_path / "a.mp4", swim(3))
    path = Run(Pass([model]), [source], slow, moving=True)
    list(path)
    merge = {stage.name: stage for stage in path.stages}["read"]

    assert merge.busy_s < 0.4 < merge.starved_s


def test_inputs_for_the_largest_batch_are_prepared_ahead(tmp_path: Path) -> None:
    """A network of a fixed batch does not wait for one that takes single inputs, nor the other way round."""
    archive = brightness_archive(tmp_path / "m.tgz", shape=[4, 3, -1, -1])
    with load_models([archive, RECTANGLES], settings_of(), LOG) as models:
        stages = {stage.name: stage.ahead for stage in Run(models, [], pull, moving=True).stages}

    assert (4, 4, 1) == (stages["prepare"], stages["infer tiny"], stages["infer rectangles"])
