"""A mask made of tiles is the mask of the whole image, as far as the network's receptive field allows."""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from quadrat.errors import EngineRunError, GraphError
from quadrat.geometry import Geometry, Window
from quadrat.media import scratch
from quadrat.parameters import Settings, TileSettings
from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.tasks.segment.task import Segment
from quadrat.transforms.tiles import plan
from quadrat.types import Frame, Part
from tests.tasks.folding import make_task, predict
from tests.tasks.segment.masks import (
    LABELS,
    SCORES,
    STATED,
    THREE,
    Fit,
    Network,
    by_colour,
    classes_and_confidence,
    classes_only,
    keep,
    package,
    parts,
    picture,
)
from tests.values import settings_of


@cache
def _conv5() -> onnxruntime.InferenceSession:
    """Make a network with a receptive field of 5 x 5: a convolution with integer weights, so that sums are exact."""
    weights = np.random.default_rng(3).integers(-9, 10, (3, 3, 5, 5)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["scores"], pads=[2, 2, 2, 2])],
        "conv5",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def conv5(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Score every pixel by its 5 x 5 neighbours."""
    tensor = pixels.astype(np.float32).transpose(2, 0, 1)[None]
    return {"scores": _conv5().run(["scores"], {"x": tensor})[0][0]}


def both(
    frame: Frame, task: Callable[..., Segment], tiled: Settings, network: Network, fit: Fit = keep
) -> tuple[Segmentation, Segmentation]:
    """Segment a frame as a whole and by tiles."""
    whole = replace(tiled, tiles=TileSettings())
    windows = task(tiled).start(frame).windows
    return (
        predict(task(whole), frame, parts(frame, (None,), network)),
        predict(task(tiled), frame, parts(frame, windows, network, fit)),
    )


def scored(values: Settings) -> Segment:
    """Make the task for an archive that gives scores."""
    return make_task(package(), [SCORES], values)


def same(whole: Segmentation, tiled: Segmentation) -> None:
    """Check that two masks are the same in class and confidence."""
    np.testing.assert_array_equal(whole.labels, tiled.labels)
    assert whole.labels.dtype == tiled.labels.dtype
    assert (whole.confidence is None) == (tiled.confidence is None)
    if whole.confidence is not None:
        np.testing.assert_array_equal(whole.confidence, tiled.confidence)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(12, 40), st.data())
@settings(max_examples=60, deadline=None)
def test_a_network_that_sees_no_farther_than_the_halo_gives_the_whole_images_mask(
    height: int, width: int, tile: int, data: st.DataObject
) -> None:
    """With a 5 x 5 convolution and an overlap of at least 8 (a halo of 2), labels and confidence are equal."""
    overlap = data.draw(st.integers(8, tile - 1))
    same(*both(picture((height, width)), scored, settings_of(tile_size=tile, tile_overlap=overlap), conv5))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 30), st.data())
@settings(max_examples=60, deadline=None)
def test_a_network_that_sees_single_pixels_gives_the_whole_images_mask_on_any_tiling(
    height: int, width: int, tile: int, data: st.DataObject
) -> None:
    """Also without any overlap, and with one of nearly the whole tile."""
    if (height // tile + 1) * (width // tile + 1) > 200:
        return
    overlap = data.draw(st.integers(0, (tile - 1) * 3 // 4))
    same(
        *both(picture((height, width)), scored, settings_of(tile_size=tile, tile_overlap=overlap), by_colour)
    )


def test_a_halo_that_is_too_small_is_seen() -> None:
    """Without an overlap the same convolution gives other labels at the seams, so the law above can fail."""
    whole, tiled = both(picture((60, 60)), scored, settings_of(tile_size=20, tile_overlap=0), conv5)
    assert (whole.labels != tiled.labels).any()


def padded(pixels: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, Geometry]:
    """Pad a tile by 3 rows above, 5 columns to the left, and to a multiple of 16, as an archive may."""
    hw = (-(-(pixels.shape[0] + 3) // 16) * 16, -(-(pixels.shape[1] + 5) // 16) * 16)
    out = np.full((*hw, 3), 127, np.uint8)
    out[3 : 3 + pixels.shape[0], 5 : 5 + pixels.shape[1]] = pixels
    return out, geometry.padded(hw, top=3, left=5)


def doubled(pixels: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, Geometry]:
    """Resize a tile to twice its size."""
    height, width = pixels.shape[:2]
    return pixels.repeat(2, 0).repeat(2, 1), geometry.resized((2 * height, 2 * width))


@pytest.mark.parametrize("fit", [padded, doubled])
@pytest.mark.parametrize("source", [None, (150, 210)])
def test_what_an_archives_transforms_do_to_a_tile_is_undone(fit: Fit, source: tuple[int, int] | None) -> None:
    """Padding and resizing of tiles do not change the mask, nor does shrinking to working size."""
    frame = picture((50, 70), source=source)
    same(*both(frame, scored, settings_of(tile_size=32, tile_overlap=9), by_colour, fit))


def test_an_archive_of_labels_alone_is_joined_by_who_sees_most() -> None:
    """Labels cannot be blended: each pixel takes that of the tile in which it lies farthest from a border."""
    tiled = settings_of(tile_size=20, tile_overlap=6)
    same(*both(picture((50, 45)), lambda s: make_task(package(), [LABELS], s), tiled, classes_only))
    stated = {"labels": "labels", "confidence": "confidence"}
    same(
        *both(
            picture((50, 45)),
            lambda s: make_task(package(outputs=stated), THREE[:2], s),
            tiled,
            classes_and_confidence,
        )
    )

    frame = picture((1, 30))
    task = make_task(package(3), [LABELS], tiled)
    named = [np.full((1, 20), i) for i in (1, 2)]
    given_ = zip(named, parts(frame, plan((1, 30), 20, 6), by_colour), strict=True)
    got = predict(task, frame, (Part({"argmax_0": n}, p.geometry, p.window) for n, p in given_))
    assert got.labels.tolist() == [[1] * 15 + [2] * 15]


def test_scores_are_asked_for_where_tiles_are_joined() -> None:
    """Tiles use scores if the archive has them, and labels if not."""
    tiled = settings_of(tile_size=64)
    assert make_task(package(outputs=STATED), THREE, tiled).wanted == ("logits",)
    assert make_task(package(), [LABELS], tiled).wanted == ("argmax_0",)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (19, 19)])
def test_nan_in_any_tile_fails_the_picture(value: float, place: tuple[int, int]) -> None:
    """One bad number is an error, even where the tile's weight is 0."""
    frame, tiled = picture((50, 50)), settings_of(tile_size=20, tile_overlap=8)
    made = list(parts(frame, plan((50, 50), 20, 8), by_colour))
    made[4].arrays["scores"][1][place] = value
    with pytest.raises(EngineRunError, match="NaN or infinite"):
        predict(scored(tiled), frame, made)


def test_a_class_that_is_ruled_out_stays_out() -> None:
    """Logits of minus infinity for a class give the same mask in tiles as in a whole image."""

    def ruled_out(pixels: np.ndarray) -> dict[str, np.ndarray]:
        scores = by_colour(pixels)["scores"]
        scores[1] = -np.inf
        return {"scores": scores}

    same(*both(picture((40, 40)), scored, settings_of(tile_size=20, tile_overlap=8), ruled_out))


def test_a_network_that_ends_in_a_softmax_keeps_its_probabilities() -> None:
    """Blended probabilities do not go through a softmax."""

    def soft(pixels: np.ndarray) -> dict[str, np.ndarray]:
        shares = pixels.astype(np.float32).transpose(2, 0, 1) + 1
        return {"scores": shares / shares.sum(axis=0)}

    same(*both(picture((40, 40)), scored, settings_of(tile_size=20, tile_overlap=8), soft))


@pytest.mark.parametrize("size", ["working", "source"])
def test_floor_and_result_size_go_with_tiles(size: str) -> None:
    """min-confidence and result-size have the same effect as for a whole image."""
    frame = picture((50, 60), source=(125, 150))
    tiled = settings_of(tile_size=20, tile_overlap=8, result_size=size, min_confidence=0.9)
    whole, found = both(frame, scored, tiled, by_colour)
    same(whole, found)
    assert found.labels.shape == ((50, 60) if size == "working" else (125, 150))
    assert (found.labels == UNKNOWN).any()


@pytest.mark.parametrize("size", ["working", "source"])
def test_the_mask_of_a_mosaic_lies_on_disk(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels and confidence of a large image are mapped files, with the same numbers."""
    frame = picture((50, 60), source=(125, 150))
    tiled = settings_of(tile_size=20, tile_overlap=8, result_size=size)
    whole, _ = both(frame, scored, tiled, by_colour)
    monkeypatch.setattr(scratch, "LARGE_PIXELS", 2000)
    _, found = both(frame, scored, tiled, by_colour)
    same(whole, found)
    for plane in (found.labels, found.confidence):
        base: Any = plane
        while isinstance(base, np.ndarray):
            base = base.base
        assert isinstance(getattr(base, "obj", base), mmap.mmap)


def test_tiles_are_taken_one_by_one_and_let_go() -> None:
    """At most three tiles are in memory at a time, including those that the test itself holds."""
    frame, alive = picture((100, 100)), []

    def lazily() -> Iterator[Part]:
        for part in parts(frame, plan((100, 100), 20, 8), by_colour):
            assert sum(one() is not None for one in alive) <= 3
            alive.append(weakref.ref(part.arrays["scores"]))
            yield part

    predict(scored(settings_of(tile_size=20, tile_overlap=8)), frame, lazily())
    assert len(alive) == 64


def test_a_mask_of_another_size_than_its_tile_is_refused() -> None:
    """It would have to be stretched, and would give a wrong cover."""
    frame, tiled = picture((50, 50)), settings_of(tile_size=20, tile_overlap=8)
    halves = (
        Part({"scores": p.arrays["scores"][:, ::2, ::2]}, p.geometry, p.window)
        for p in parts(frame, plan((50, 50), 20, 8), by_colour)
    )
    with pytest.raises(GraphError, match="10 x 10 pixels for an input of 20 x 20"):
        predict(scored(tiled), frame, halves)


def test_scores_stay_logits_once_a_tile_has_shown_that_they_are() -> None:
    """A later tile whose logits happen to sum to 1 goes through the softmax like the others."""
    frame = picture((1, 40))
    fold = scored(settings_of(tile_size=20, tile_overlap=0)).start(frame)
    start = Geometry.identity((1, 40))
    for number, scores in enumerate(([5.0, 0.0, 0.0], [0.75, 0.25, 0.0])):
        planes = np.broadcast_to(np.array(scores, np.float32)[:, None, None], (3, 1, 20))
        fold.add(number, Part({"scores": planes}, start.cropped(Window(0, 20 * number, 1, 20))))
    found = fold.finish().confidence
    assert found is not None
    logits = np.array([0.75, 0.25, 0.0])
    np.testing.assert_allclose(found[0, 20:], np.exp(0.75) / np.exp(logits).sum(), atol=1e-3)
