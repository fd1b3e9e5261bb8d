"""How frames are cut into inputs is the order's choice, and changes no answer."""

from __future__ import annotations

import io
import logging
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from quadrat.pipeline.loaded import LoadedModel, load_model

from quadrat.media.sampling import Sampling
from quadrat.pipeline.prepare import Gate
from quadrat.types import Detections, Frame, FrameKey, Source
from tests import pictures
from tests.moving import RECTANGLES, draw, film, measured, order, swim, watched
from tests.networks import brightness_archive
from tests.values import settings_of

HW = (144, 192)


@pytest.fixture(scope="module")
def model() -> Iterator[LoadedModel]:
    """The detector of rectangles."""
    with load_model(RECTANGLES, settings_of(), logging.getLogger("test")) as loaded:
        yield loaded


def inputs(model: LoadedModel, source: Source, **values: Any) -> Counter[tuple[int, ...]]:
    """Count what the network is given of a source, by height and width."""
    seen: Counter[tuple[int, ...]] = Counter()
    counted = watched(model, lambda batch: seen.update([batch.shape[2:]] * len(batch)))
    measured(counted, [source], **values)
    return seen


def photo(folder: Path) -> Source:
    """Write a picture of HW and name it as a source."""
    (folder / "a.png").write_bytes(pictures.png(draw([(20, 30, 80, 90)], HW)))
    return Source("a", "a.png", "image", str(folder / "a.png"))


@pytest.mark.parametrize("batch", [1, 4])
def test_full_frame_is_one_more_input_of_each_frame(tmp_path: Path, model: LoadedModel, batch: int) -> None:
    """Of each of three frames the network sees the same six tiles, and with full-frame all of it besides."""
    source = film(tmp_path / "a.mp4", swim(3, hw=HW))
    values = {"tile_size": 100, "tile_overlap": 20, "batch_size": batch}

    assert {(100, 100): 18} == inputs(model, source, **values)
    assert {(100, 100): 18, HW: 3} == inputs(model, source, **values, full_frame=True)


@pytest.mark.parametrize(("overlap", "count"), [(0, 4), (20, 6), (60, 12), (-1, 6)])
def test_tile_overlap_says_how_many_tiles_there_are(
    tmp_path: Path, model: LoadedModel, overlap: int, count: int
) -> None:
    """Tiles of 100 pixels on 144 x 192 are 4 side by side, more the more they overlap, and by themselves by a fifth."""
    assert {(100, 100): count} == inputs(model, photo(tmp_path), tile_size=100, tile_overlap=overlap)


def planes(archive: Path, folder: Path, out: Path, **values: Any) -> dict[str, np.ndarray]:
    """Run an order of pictures; give the pixels of classes and confidence."""
    ran = order(archive, folder, out, moving=False, outputs="labels,confidence", **values)
    assert (0, []) == (ran.status, ran.errors)
    return {
        name: np.asarray(Image.open(io.BytesIO(body)))
        for name, body in ran.products.items()
        if name.endswith(".png")
    }


def test_tiles_and_batches_change_no_mask(tmp_path: Path) -> None:
    """Law: classes and confidence of a network of single pixels are the whole picture's, by tiles and in any batch."""
    archive, folder = brightness_archive(tmp_path / "m.tgz"), tmp_path / "in"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (300, 411, 3)).astype(np.uint8)
    (folder / "a.png").write_bytes(pictures.png(noise))
    tiles = {"tile_size": 128, "tile_overlap": 32}
    whole = planes(archive, folder, tmp_path / "whole")

    assert ["a.confidence.png", "a.labels.png"] == sorted(whole)
    assert {0, 1} <= set(np.unique(whole["a.labels.png"]))
    for batch in (1, 8):
        found = planes(archive, folder, tmp_path / f"tiles-{batch}", batch_size=batch, **tiles)
        for name, plane in whole.items():
            np.testing.assert_array_equal(plane, found[name])


def awake(times: list[float], idle_s: float) -> list[int]:
    """Give the numbers of the frames that are measured where nothing is ever found."""
    gate, pixels, nothing = (
        Gate(skip_black=False, idle_s=idle_s),
        np.zeros((1, 1, 3), np.uint8),
        Detections.none(),
    )
    found = []
    for n, time_s in enumerate(times):
        frame = Frame(FrameKey("a", n), (1, 1), pixels, time_s=time_s)
        if not gate.reason(frame):
            found.append(n)
            gate.sent(frame)
            gate.saw(frame, nothing)
    return found


@pytest.mark.parametrize("idle_s", [0.04, 0.12, 0.2, 0.4, 1.0])
@pytest.mark.parametrize(
    ("ticks", "scale"), [(3600, 90_000), (3000, 90_000), (1001, 30_000), (1, 50), (40, 1000)]
)
def test_a_source_rests_by_a_regular_pattern(idle_s: float, ticks: int, scale: int) -> None:
    """At a constant rate, where nothing is found, each n-th frame is measured, as by frame-seconds where that is exact."""
    times = [n * ticks / scale for n in range(5000)]
    step = math.ceil(round(idle_s * 1000) * scale / (1000 * ticks))
    regular = list(range(0, 5000, step))

    assert (
        regular == awake(times, idle_s) == awake([0.4 + time_s for time_s in times], idle_s)[: len(regular)]
    )
    if step * ticks * 1000 == round(idle_s * 1000) * scale:
        sampling = Sampling(settings_of(frame_seconds=idle_s))
        assert regular == [n for n, time_s in enumerate(times) if sampling.selects(n, time_s)]


def test_a_film_rests_by_a_regular_pattern(tmp_path: Path, model: LoadedModel) -> None:
    """By the times that a file gives, too: of five frames of an empty film one is measured."""
    source = film(tmp_path / "a.mp4", [draw([], (64, 96))] * 200)
    results, _ = measured(model, [source], idle_seconds=0.2)

    assert list(range(0, 200, 5)) == [n for n, r in enumerate(results["a"]) if not r.frame.skipped]
