"""A frame's mask does not depend on the order of its parts, nor on other frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quadrat.errors import (
    QuadratError,
)
from quadrat.geometry import Window
from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.tasks.segment.task import Segment
from quadrat.transforms.tiles import plan_masks
from quadrat.types import Frame, Part
from tests.tasks.folding import interleave, make_task, predict
from tests.tasks.segment.masks import (
    LABELS,
    SCORES,
    STATED,
    THREE,
    by_colour,
    classes_and_confidence,
    frame,
    package,
    part,
    parts,
    picture,
)
from tests.values import settings_of

TILED = {"tile_size": 20, "tile_overlap": 8}


def task(values: Mapping[str, Any] = TILED, *, scores: bool = True) -> Segment:
    """Make the task for an archive of scores, or of labels with their confidence."""
    if scores:
        return make_task(package(), [SCORES], settings_of(**values))
    outputs = {role: STATED[role] for role in ("labels", "confidence")}
    return make_task(package(outputs=outputs), THREE[:2], settings_of(**values))


def parts_of(task_: Segment, of: Frame, *, scores: bool = True) -> list[Part]:
    """Run a network on all parts of a frame."""
    network = by_colour if scores else classes_and_confidence
    return list(parts(of, task_.start(of).windows, network))


def same_bytes(one: Segmentation, other: Segmentation) -> None:
    """Check that two masks have equal bytes."""
    assert one.labels.tobytes() == other.labels.tobytes()
    assert one.confidence is not None
    assert other.confidence is not None
    assert one.confidence.tobytes() == other.confidence.tobytes()


@given(st.randoms(use_true_random=False), st.booleans(), st.sampled_from(["working", "source"]))
@settings(max_examples=25, deadline=None)
def test_any_order_of_parts_and_frames_gives_the_same_bytes(random, scores: bool, size: str) -> None:
    """Parts of three frames, in any order and interleaved, give the masks that they give one after the other."""
    task_ = task({**TILED, "result_size": size, "min_confidence": 0.4}, scores=scores)
    frames = [picture((50, 45), seed, (60, 90)) for seed in (1, 2)] + [picture((20, 15), 3)]
    made = [parts_of(task_, of, scores=scores) for of in frames]
    found = interleave(task_, frames, made, random)
    for of, parts_, mask in zip(frames, made, found, strict=True):
        same_bytes(predict(task_, of, parts_), mask)


def test_parts_that_are_due_are_let_go() -> None:
    """Only the parts that came before their turn are held."""
    of = picture((50, 50))
    fold, made = task().start(of), parts_of(task(), of)
    held: Sequence[int] = ()
    for number in (0, 1, 3, 4, 2):
        fold.add(number, made[number])
        held = sorted(fold._early)
        assert held == {0: [], 1: [], 3: [3], 4: [3, 4], 2: []}[number]


@pytest.mark.parametrize(
    ("hw", "windows"),
    [((20, 20), (None,)), ((3, 20), (None,)), ((21, 20), plan_masks((21, 20), 20, 8))],
)
def test_a_frame_no_larger_than_a_tile_is_one_part(
    hw: tuple[int, int], windows: tuple[Window | None, ...]
) -> None:
    """Its longer side decides; without tile-size every frame is one part."""
    assert windows == task().start(picture(hw)).windows
    assert (None,) == task({}).start(picture(hw)).windows


def test_tiles_begin_on_the_networks_grid() -> None:
    """Where tiles are large enough, all but the last of a row begin at multiples of 32."""
    windows = task({"tile_size": 128, "tile_overlap": 16}).start(picture((128, 1000))).windows

    assert windows == plan_masks((128, 1000), 128, 16)
    assert {w.left % 32 for w in windows[:-1] if w is not None} == {0}


@pytest.mark.parametrize("hw", [(50, 50), (10, 10)])
def test_a_missing_part_is_an_internal_error(hw: tuple[int, int]) -> None:
    """A mask with a hole is never returned."""
    of = picture(hw)
    fold = task().start(of)
    for number, one in enumerate(parts_of(task(), of)[:-1]):
        fold.add(number, one)
    with pytest.raises(QuadratError, match=r"1 of .* parts are missing") as caught:
        fold.finish()
    assert "E_INTERNAL" == caught.value.code


def test_the_floor_makes_unknown() -> None:
    """Exactly the pixels under min-confidence are unknown."""
    f = frame(1, 2)
    task = make_task(package(outputs=STATED), THREE, settings_of(min_confidence=0.5))
    got = predict(
        task, f, [part(f, labels=np.array([[1, 2]], np.uint8), confidence=np.array([[0.4, 0.5]], np.float32))]
    )

    assert [[UNKNOWN, 2]] == got.labels.tolist()


@pytest.mark.parametrize(("size", "shape"), [("working", (4, 6)), ("source", (8, 12))])
def test_result_size(size: str, shape: tuple[int, int]) -> None:
    """Working is the size after max-img-size, source the image's own."""
    f = frame(source=(8, 12))
    task = make_task(package(), [LABELS], settings_of(result_size=size))

    assert shape == predict(task, f, [part(f, argmax_0=np.zeros((4, 6), np.int32))]).labels.shape
