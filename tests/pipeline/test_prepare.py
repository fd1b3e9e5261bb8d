"""How frames are cut into inputs is the order's choice, and changes no answer."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from quadrat.errors import ParameterError
from quadrat.pipeline.events import DecodedFrame, MeasuredFrame, PartResult, PreparedPart
from quadrat.pipeline.filter import FrameFilter
from quadrat.pipeline.models import LoadedModel, Pass, load_models
from quadrat.pipeline.prepare import prepare
from quadrat.pipeline.state import SourceState
from quadrat.types import Flush, Frame, FrameKey, Source
from tests import pictures
from tests.moving import LOG, RECTANGLES, draw, film, load, measured, objects, order, swim, watched
from tests.networks import brightness_archive
from tests.values import settings_of

HW = (144, 192)


@pytest.fixture(scope="module")
def model() -> Iterator[LoadedModel]:
    """The detector of rectangles."""
    with load(RECTANGLES) as loaded:
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


PLACES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(8, 60)), max_size=8, unique_by=lambda p: p[:2]
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PLACES, st.tuples(st.integers(64, 200), st.integers(8, 60)), st.sampled_from(["ios", "iou", "wbf"]))
def test_tiles_and_batches_change_no_box(
    model: LoadedModel,
    tmp_path: Path,
    places: list[tuple[int, int, int]],
    tiling: tuple[int, int],
    merge: str,
) -> None:
    """Law: whatever the tile, the overlap and the batch, the boxes are the truth, and batch 1 equals batch 8.

    Tiles overlap by the smallest object at least: without that, a seam can leave a part too thin for the network.
    """
    tile, overlap = tiling
    truth = sorted((70 * c + 3, 70 * r + 5, 70 * c + 3 + s, 70 * r + 5 + s) for c, r, s in places)
    (tmp_path / "scene.png").write_bytes(pictures.png(draw(truth, (290, 360))))
    source = Source("urn:scene", "scene.png", "image", str(tmp_path / "scene.png"))
    found = []
    for batch in (1, 8):
        results, _ = measured(
            model,
            [source],
            tile_size=tile,
            tile_overlap=min(overlap, tile - 1),
            batch_size=batch,
            merge=merge,
        )
        found.append(objects(results["urn:scene"][0]))

    np.testing.assert_array_equal(found[0].boxes, found[1].boxes)
    np.testing.assert_array_equal(found[0].scores, found[1].scores)
    if overlap >= 60 or merge == "ios":
        assert truth == sorted(tuple(box) for box in found[0].boxes.round().astype(int).tolist())


def taken(
    hw: tuple[int, int] = HW, skipped: str = "", source_hw: tuple[int, int] | None = None
) -> DecodedFrame:
    """Make a frame of a video as the reader gives it."""
    pixels = np.full((*hw, 3), 90, np.uint8)
    frame = Frame(FrameKey("urn:v"), source_hw or hw, pixels, time_s=0.0, skipped=skipped)
    return DecodedFrame(SourceState.of(Source("urn:v", "v.mp4", "video"), ("rectangles", "tiny")), frame)


def prepared(models: Pass, *items: Any) -> list[Any]:
    """Give what the stage makes of items."""
    return list(prepare(models, FrameFilter(models), iter(items)))


def test_each_model_plans_its_own_parts_once(tmp_path: Path) -> None:
    """Tiles of one frame, for both models, carry their numbers; all share the frame's count of parts to come."""
    archive = brightness_archive(tmp_path / "m.tgz")
    with load_models([RECTANGLES, archive], settings_of(tile_size=100, tile_overlap=20), LOG) as models:
        came = prepared(models, taken())

    assert all(isinstance(each, PreparedPart) for each in came)
    numbers = {name: [each.number for each in came if each.model == name] for name in models}
    windows = {name: [each.sample.window for each in came if each.model == name] for name in models}
    (opened,) = {id(each.frame): each.frame for each in came}.values()
    assert numbers == {name: list(range(len(each))) for name, each in numbers.items()}
    assert windows == {name: list(opened.folds[name].windows) for name in models}
    assert len(came) == opened.waiting == 6 + len(windows["tiny"])


def test_a_model_that_measures_smaller_has_a_view_of_its_own(tmp_path: Path) -> None:
    """The frame is read at the largest size; a model that shrinks gets it shrunk, and the other one as it is."""
    archive = brightness_archive(tmp_path / "m.tgz")
    with load_models([RECTANGLES, archive], settings_of(), LOG) as models:
        came = prepared(models, taken((1200, 1000)))

    (opened,) = {id(each.frame): each.frame for each in came}.values()
    assert ["tiny"] == list(opened.views)
    assert opened.views["tiny"].pixels.shape[0] * opened.views["tiny"].pixels.shape[1] <= 1_000_000
    assert (1200, 1000) == opened.views["tiny"].source_hw
    shapes = {each.model: each.sample.tensor.shape[1:] for each in came}
    assert shapes["tiny"] == opened.views["tiny"].pixels.shape[:2]


def test_a_model_that_cannot_plan_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives one part with the reason; the other model's parts are all there."""
    archive = brightness_archive(tmp_path / "m.tgz")
    with load_models([RECTANGLES, archive], settings_of(), LOG) as models:

        def refuse(_: Frame) -> None:
            raise ParameterError("too many tiles", where="tile-size")

        monkeypatch.setattr(models["tiny"].task, "start", refuse, raising=False)
        failed, good = prepared(models, taken())

    assert isinstance(failed, PartResult)
    assert ("tiny", "read", "v.mp4 (tile-size): too many tiles") == (
        failed.model,
        failed.stage,
        str(failed.outcome),
    )
    assert (isinstance(good, PreparedPart), good.model, good.frame.waiting) == (True, "rectangles", 2)


def test_a_skipped_frame_has_no_parts_and_all_else_passes(model: LoadedModel) -> None:
    """A frame that the reader marked is a result at once; a Flush and an unknown item go through."""
    flush, other = Flush(), object()
    came = prepared(Pass([model]), flush, taken(skipped="black"), other)

    assert came[0] is flush
    assert came[2] is other
    assert isinstance(came[1], MeasuredFrame)
    assert ("black", {}) == (came[1].result.frame.skipped, came[1].result.predictions)


def test_with_idle_seconds_a_frame_asks_for_the_answers_before_it(tmp_path: Path) -> None:
    """A Flush goes before a frame whose source has frames under way."""
    with load(RECTANGLES, settings_of(idle_seconds=1.0)) as model:
        first = taken()
        second = DecodedFrame(first.state, first.frame)
        came = prepared(Pass([model]), first, second)

    assert [PreparedPart, Flush, PreparedPart] == [type(each) for each in came]
